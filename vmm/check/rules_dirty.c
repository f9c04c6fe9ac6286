/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The device's log of the pages that it wrote: VFIO_DEVICE_FEATURE_DMA_LOGGING_START, _STOP and _REPORT. */
#include <errno.h>
#include <inttypes.h>

#include "vmm/check/groups.h"
#include "vmm/check/log_reader.h"
#include "vmm/check/traffic.h"
#include "vmm/check/workplace.h"
#include "vmm/vfio/dirty_log.h"

#define ROUNDS 6u
#define PIECE_MAX 200u
#define NEEDS_WORK (CHECK_NEEDS_DMA_LOGGING | CHECK_NEEDS_TRAFFIC)

#define BASIS_LOGGED                                                                                                   \
    "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START: each DMA (write) that the device initiates inside "          \
    "the ranges will be logged by the device for later retrieval"
#define BASIS_SIZES                                                                                                    \
    "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: the page size can be any power of two and does "            \
    "not have to match the one given to START; the driver formats its log to match, if need be by "                    \
    "replicating bits"
#define BASIS_RANGE                                                                                                    \
    "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: it is a query for the written pages within the "            \
    "given IOVA range, and the log is cleared for that range"
#define BASIS_ONCE                                                                                                     \
    "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_START: a single start can be issued and a matching stop "           \
    "should follow at the end; another start is not allowed in the meantime"

/* What a rule varies. */
struct log_trial {
    unsigned int rounds;
    uint64_t hint;      /* page size of START */
    uint64_t page_size; /* of the reports */
    bool in_pieces;     /* reports of odd lengths */
    bool remap;         /* memory is mapped after the start */
    bool stop;          /* the device is stopped at work before the log is read */
    unsigned int only;  /* 1 + the range that alone is logged; 0: all of them */
};

/* One round of work, and its report. */
static int work_round(struct workplace *place, const struct log_trial *trial, struct log_reader *reader,
                      struct error *error)
{
    uint64_t piece = trial->in_pieces ? 1 + check_random(place->context, PIECE_MAX) : 0;
    bool in_flight;

    if (trial->stop && (workplace_stop(place, VFIO_DEVICE_STATE_STOP, &in_flight, error) < 0 ||
                        log_reader_read(reader, piece, error) < 0 || workplace_go_on(place, error) < 0))
        return -1;
    if (work_run(place->work, place->work->kind->many, error) < 0 || work_drain(place->work, error) < 0)
        return -1;
    return log_reader_read(reader, piece, error);
}

static void judge_round(const struct log_trial *trial, const struct log_reader *reader, struct check_result *result)
{
    uint64_t iova = 0, missing = log_reader_missing(reader, &iova);

    if (log_reader_is_full(reader)) {
        check_not_tried(result, "the log has every page every time, whatever was written: it cannot discriminate");
        return;
    }
    check_expect(result,
                 "the %" PRIu64 " pages that the device wrote are in the log, reported by pages of %" PRIu64 " bytes",
                 log_reader_written(reader), trial->page_size);
    if (missing)
        check_broken(result, "%" PRIu64 " of them are not, the first at IOVA 0x%" PRIx64, missing, iova);
}

static int remap(struct bench *bench, struct error *error)
{
    return bench_unmap(bench, error) < 0 ? -1 : bench_map(bench, error);
}

/* A device that broke a rule of its own work in between is another rule's finding. */
static int try_log(struct workplace *place, const struct log_trial *trial, struct check_result *result,
                   struct error *error)
{
    struct log_reader reader;
    int status = 0;

    if (trial->only ? log_reader_start_one(&reader, &place->bench, trial->only - 1, trial->hint, error) < 0
                    : log_reader_start(&reader, &place->bench, BENCH_RANGES_MAX, trial->hint, error) < 0)
        return -1;
    reader.page_size = trial->page_size;
    if (trial->remap)
        status = remap(&place->bench, error);
    for (unsigned int i = 0; i < trial->rounds && status == 0 && result->outcome == CHECK_OK; i++) {
        log_reader_begin(&reader);
        status = work_round(place, trial, &reader, error);
        if (status == 0)
            judge_round(trial, &reader, result);
    }
    if (device_log_stop(place->bench.device, status < 0 ? &(struct error){0} : error) < 0)
        return -1;
    return status;
}

static bool has_dma(struct check_context *context, struct check_result *result)
{
    if (!context->traffic->kind->dma)
        check_not_applicable(result, "%s does no DMA", context->traffic->kind->name);
    return context->traffic->kind->dma;
}

static int try_logs(struct check_context *context, const struct log_trial *trials, size_t count,
                    struct check_result *result, struct error *error)
{
    struct workplace place;
    size_t done = 0;
    int status;

    if (!has_dma(context, result))
        return 0;
    status = workplace_open(context, &place, error);
    for (; done < count && status == 0 && result->outcome == CHECK_OK && !check_time_up(context); done++)
        status = try_log(&place, &trials[done], result, error);
    workplace_close(&place);
    check_tried(result, done, count);
    return status;
}

static int run_every_page(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .rounds = ROUNDS, .page_size = 4096};

    return try_logs(context, &trial, 1, result, error);
}

static int run_each_range(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    unsigned int done = 0;
    int status;

    if (!has_dma(context, result))
        return 0;
    status = workplace_open(context, &place, error);
    for (; status == 0 && done < place.bench.range_count && result->outcome == CHECK_OK; done++) {
        const struct log_trial trial = {.hint = 4096, .rounds = 2, .page_size = 4096, .only = done + 1};

        status = try_log(&place, &trial, result, error);
    }
    workplace_close(&place);
    check_tried(result, done, BENCH_RANGES_MAX);
    return status;
}

static int run_page_sizes(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct log_trial trials[] = {
        {.hint = 4096, .rounds = 2, .page_size = 8192},
        {.hint = 4096, .rounds = 2, .page_size = 65536},
        {.hint = 4096, .rounds = 2, .page_size = LOG_PAGE_MAX},
        {.hint = 65536, .rounds = 2, .page_size = 65536},
        {.hint = 65536, .rounds = 2, .page_size = 4096},
        {.hint = LOG_PAGE_MAX, .rounds = 2, .page_size = LOG_PAGE_MAX},
    };

    return try_logs(context, trials, sizeof(trials) / sizeof(trials[0]), result, error);
}

static int run_in_pieces(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .rounds = ROUNDS, .page_size = 4096, .in_pieces = true};

    return try_logs(context, &trial, 1, result, error);
}

static int run_mapped_later(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .rounds = ROUNDS, .page_size = 4096, .remap = true};

    return try_logs(context, &trial, 1, result, error);
}

static int run_until_stopped(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .rounds = ROUNDS / 2, .page_size = 4096, .stop = true};

    return try_logs(context, &trial, 1, result, error);
}

/* The device rests between the two reports. */
static int read_twice(struct workplace *place, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .page_size = 4096};
    struct log_reader reader;
    int status;

    if (log_reader_start(&reader, &place->bench, BENCH_RANGES_MAX, trial.hint, error) < 0)
        return -1;
    status = work_round(place, &trial, &reader, error);
    if (status == 0 && log_reader_is_full(&reader))
        check_not_tried(result, "the log has every page every time: it cannot discriminate");
    log_reader_begin(&reader);
    if (status == 0 && result->outcome == CHECK_OK)
        status = log_reader_read(&reader, 0, error);
    check_expect(result, "a second report of a device that rests has no page");
    if (status == 0 && result->outcome == CHECK_OK && reader.units_dirty)
        check_broken(result, "it has %" PRIu64, reader.units_dirty);
    if (device_log_stop(place->bench.device, status < 0 ? &(struct error){0} : error) < 0)
        return -1;
    return status;
}

static int run_cleared(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status;

    if (!has_dma(context, result))
        return 0;
    status = workplace_open(context, &place, error);
    if (status == 0)
        status = read_twice(&place, result, error);
    workplace_close(&place);
    return status;
}

/* A report of the second range, which is not logged, and then of the first, which is. */
static int report_outside(struct workplace *place, struct check_result *result, struct error *error)
{
    static const struct log_trial trial = {.hint = 4096, .page_size = 4096};
    struct bench *bench = &place->bench;
    uint64_t bitmap[BENCH_RANGE_SIZE / BENCH_PAGE / 64] = {0};
    struct error answer = ERROR_INIT;
    struct log_reader reader;
    int status;

    if (log_reader_start(&reader, bench, 1, trial.hint, error) < 0)
        return -1;
    status = work_run(place->work, place->work->kind->many, error) < 0 ? -1 : work_drain(place->work, error);
    if (status == 0 &&
        log_report_raw(bench->device, bench->range[1].iova, bench->range[1].size, trial.page_size, bitmap, &answer) < 0)
        check_not_applicable(result,
                             "a report outside of the ranges is refused (%.300s), and after an error the log "
                             "counts as corrupted",
                             answer.text);
    if (status == 0 && result->outcome == CHECK_OK && log_reader_read(&reader, 0, error) < 0)
        status = -1;
    if (status == 0 && result->outcome == CHECK_OK)
        judge_round(&trial, &reader, result);
    if (device_log_stop(bench->device, status < 0 ? &(struct error){0} : error) < 0)
        return -1;
    return status;
}

static int run_outside(struct check_context *context, struct check_result *result, struct error *error)
{
    struct workplace place;
    int status;

    if (!has_dma(context, result))
        return 0;
    status = workplace_open(context, &place, error);
    if (status == 0 && place.bench.range_count < 2)
        check_not_tried(result, "the IOMMU takes one range alone");
    else if (status == 0)
        status = report_outside(&place, result, error);
    workplace_close(&place);
    return status;
}

static const struct vfio_area good_range = {0x80000000, 0x400000};

static int stop_after(struct check_context *context, int started, struct error *error)
{
    return started < 0 ? 0 : device_log_stop(context->device, error);
}

static int run_second_start(struct check_context *context, struct check_result *result, struct error *error)
{
    struct error answer = ERROR_INIT;
    uint64_t page_size = 4096;

    if (log_start_raw(context->device, &good_range, 1, &page_size, error) < 0)
        return -1;
    check_expect(result, "a second START is refused");
    page_size = 4096;
    if (log_start_raw(context->device, &good_range, 1, &page_size, &answer) == 0)
        check_broken(result, "it succeeds");
    check_expect(result, "STOP succeeds after a START that was refused");
    answer = (struct error)ERROR_INIT;
    if (device_log_stop(context->device, &answer) < 0)
        check_broken(result, "%s", answer.text);
    return 0;
}

static int run_report_unstarted(struct check_context *context, struct check_result *result, struct error *error)
{
    struct error answer = ERROR_INIT;
    uint64_t bitmap[16] = {0}, page_size = 4096;

    check_expect(result, "a REPORT without a START is refused");
    if (log_report_raw(context->device, good_range.offset, good_range.size, 4096, bitmap, &answer) == 0)
        check_broken(result, "it succeeds");
    if (log_start_raw(context->device, &good_range, 1, &page_size, error) < 0 ||
        device_log_stop(context->device, error) < 0)
        return -1;
    check_expect(result, "a REPORT after the STOP is refused");
    if (log_report_raw(context->device, good_range.offset, good_range.size, 4096, bitmap, &answer) == 0)
        check_broken(result, "it succeeds");
    return 0;
}

static int run_stop_unstarted(struct check_context *context, struct check_result *result, struct error *error)
{
    struct error answer = ERROR_INIT;

    (void)error;
    check_expect(result, "a STOP without a START is refused");
    if (device_log_stop(context->device, &answer) == 0)
        check_broken(result, "it succeeds");
    return 0;
}

/* A START that must be refused, and the words for it. */
struct bad_start {
    const char *what;
    struct vfio_area range[2];
    uint32_t count;
    uint64_t page_size;
};

static int run_bad_starts(struct check_context *context, struct check_result *result, struct error *error)
{
    static const struct bad_start bad[] = {
        {"ranges that overlap", {{0x80000000, 0x400000}, {0x80200000, 0x400000}}, 2, 4096},
        {"the same range twice", {{0x80000000, 0x400000}, {0x80000000, 0x400000}}, 2, 4096},
        {"an empty range", {{0x80000000, 0}}, 1, 4096},
        {"a range past the end of the address space", {{0xfffffffffffff000, 0x2000}}, 1, 4096},
        {"a range that does not begin at a page", {{0x80000800, 0x400000}}, 1, 4096},
        {"a range that does not end at a page", {{0x80000000, 0x400800}}, 1, 4096},
        {"a page size that is no power of two", {{0x80000000, 0x400000}}, 1, 4097},
        {"a page size of 0", {{0x80000000, 0x400000}}, 1, 0},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error answer = ERROR_INIT;
        uint64_t page_size = bad[i].page_size;
        int started = log_start_raw(context->device, bad[i].range, bad[i].count, &page_size, &answer);

        check_expect(result, "a START with %s is refused", bad[i].what);
        if (started == 0)
            check_broken(result, "it succeeds");
        if (stop_after(context, started, error) < 0)
            return -1;
    }
    return 0;
}

static const struct check_rule rules[] = {
    {
        .name = "dirty/every-page",
        .level = CHECK_MUST,
        .basis = BASIS_LOGGED,
        .causes = "a write path that is not tracked (completions, counters, a cache); a range after the first, or what "
                  "lies above 4 GiB, taken at a wrong offset; a tracker that failed and nobody noticed",
        .field = "pages above 3 GiB lost, several regions handled wrongly, a tracker's failure that went unnoticed",
        .cost = "6 rounds of work",
        .needs = NEEDS_WORK,
        .run = run_every_page,
    },
    {
        .name = "dirty/each-range-alone",
        .level = CHECK_MUST,
        .basis = BASIS_LOGGED,
        .causes = "a page's bit is found by its offset from the beginning of memory, or from the end of a hole in it, "
                  "and not by that from the beginning of its range",
        .field = "a wrong offset that lost the pages above 3 GiB",
        .cost = "2 rounds of work for each of up to 4 ranges, from below 16 MiB to above 64 GiB",
        .needs = NEEDS_WORK,
        .run = run_each_range,
    },
    {
        .name = "dirty/page-sizes",
        .level = CHECK_MUST,
        .basis = BASIS_SIZES,
        .causes =
            "the tracker counts in pages of its own size, and its bits are not spread, or not joined, to the size "
            "that was asked for",
        .field = "a tracker's message that assumes pages of 4 KiB",
        .cost = "6 logs with 2 rounds of work each",
        .needs = NEEDS_WORK,
        .run = run_page_sizes,
    },
    {
        .name = "dirty/report-in-pieces",
        .level = CHECK_MUST,
        .basis = BASIS_RANGE,
        .causes =
            "the bits at the end of a bitmap that is not of whole words, or whose range is not aligned to one, are "
            "lost; a report clears more than its range",
        .field = "bits lost past a bitmap's pinned pages",
        .cost = "6 rounds of work, some hundred reports",
        .needs = NEEDS_WORK,
        .run = run_in_pieces,
    },
    {
        .name = "dirty/mapped-after-start",
        .level = CHECK_MUST,
        .basis = BASIS_LOGGED,
        .causes = "the tracker looks at the mappings once, when it is started",
        .field = "regions that are added later are not tracked",
        .cost = "6 rounds of work",
        .needs = NEEDS_WORK,
        .run = run_mapped_later,
    },
    {
        .name = "dirty/until-stopped",
        .level = CHECK_MUST,
        .basis = BASIS_LOGGED,
        .causes = "the log is dropped, or frozen too early, by the transition to STOP; what is flushed by that "
                  "transition is not logged",
        .cost = "3 stops",
        .needs = NEEDS_WORK | CHECK_NEEDS_MIGRATION,
        .run = run_until_stopped,
    },
    {
        .name = "dirty/cleared-by-report",
        .level = CHECK_MUST,
        .basis = BASIS_RANGE,
        .causes = "the tracker's bitmap is copied and not exchanged, so that pre-copy never converges",
        .cost = "one round of work",
        .needs = NEEDS_WORK,
        .run = run_cleared,
    },
    {
        .name = "dirty/report-outside-of-ranges",
        .level = CHECK_MUST,
        .basis = BASIS_RANGE,
        .causes = "a report of what is not logged is looked up at the place of another range, and clears that",
        .field = "bounds and several regions handled wrongly",
        .cost = "one round of work",
        .needs = NEEDS_WORK,
        .run = run_outside,
    },
    {
        .name = "dirty/second-start-refused",
        .level = CHECK_MUST,
        .basis = BASIS_ONCE,
        .causes = "a start does not look whether the tracker runs, and replaces or leaks it",
        .cost = "one log",
        .needs = CHECK_NEEDS_DMA_LOGGING,
        .run = run_second_start,
    },
    {
        .name = "dirty/report-unstarted-refused",
        .level = CHECK_MUST,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: if DMA logging is not enabled, an error will be "
            "returned",
        .causes = "an empty bitmap is answered where there is no tracker, so that a user that forgot to start it, or "
                  "whose tracker failed, loses pages in silence",
        .field = "a log that was read before tracking had started",
        .cost = "one log",
        .needs = CHECK_NEEDS_DMA_LOGGING,
        .run = run_report_unstarted,
    },
    {
        .name = "dirty/stop-unstarted-refused",
        .level = CHECK_SHOULD,
        .basis =
            "linux/vfio.h, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP: stops logging that was started by START. That there "
            "must have been one is not said",
        .causes = "a stop does not look whether the tracker runs",
        .cost = "one request",
        .needs = CHECK_NEEDS_DMA_LOGGING,
        .run = run_stop_unstarted,
    },
    {
        .name = "dirty/bad-start-refused",
        .level = CHECK_SHOULD,
        .basis = "drivers/vfio/vfio_main.c, which checks this for every driver: whole pages of the size that is hinted "
                 "at, no overlap, nothing past the end of the address space; a server has nobody to do it for it",
        .causes = "ranges from outside are not checked",
        .field = "a range that is empty or not aligned crashed the tracker",
        .cost = "8 requests",
        .needs = CHECK_NEEDS_DMA_LOGGING,
        .run = run_bad_starts,
    },
};

const struct check_group check_dirty_group = {rules, sizeof(rules) / sizeof(rules[0])};
