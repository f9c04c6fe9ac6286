/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy run, source, dest: one VMM process, in this one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/io.h"
#include "vmm/cmd/conclude.h"
#include "vmm/cmd/report_writer.h"
#include "vmm/cmd/stream_security.h"
#include "vmm/cmd/vmm_process.h"
#include "vmm/cmd/vmm_sandbox.h"
#include "vmm/report/kernel_log.h"

struct one_process {
    struct options options;
    struct event_log *log;
    struct snapshot_store store;
    struct kernel_log kernel_log;
    struct proof_plan plan;
    struct finding_commands on_finding;
    struct report_writer writer;
    struct tls_credentials *tls; /* NULL: the stream is plain */
    struct step_process processes[STEP_PROCESSES];
    struct error error;
};

static int begin(struct one_process *one, const char *role, const struct event_expectation *expectation, int argc,
                 char **argv)
{
    if (!vmm_sandbox_off(&one->options) && report_writer_open(&one->writer, &one->options, &one->error) < 0)
        return -1;
    one->log = event_log_new(role, -1);
    if (!one->log) {
        error_set(&one->error, ENOMEM, "stopcopy %s", role);
        return -1;
    }
    log_manifest(one->log, argc, argv, one->options.wishes.seed);
    event_expect(one->log, expectation);
    finding_commands_open(&one->on_finding, &one->options.steps, one->log);
    kernel_log_open(&one->kernel_log, one->log);
    if (keep_begin(&one->options, &one->kernel_log, &one->error) < 0)
        return -1;
    return snapshot_store_open(&one->store, &one->error);
}

/* The process at the other end, where it is on this host and the socket knows it. */
static void list_peer(struct one_process *one, const struct vmm_process_config *config)
{
    int socket = config->from >= 0 ? config->from : config->to;
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (socket >= 0 && getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        one->processes[config->from >= 0 ? 0 : 1].vmm = peer.pid;
}

/* Runs the process, judges and reports. */
static enum status complete(struct one_process *one, struct vmm_process_config *config)
{
    enum status status;

    config->options = &one->options;
    config->log = one->log;
    config->sink = (struct snapshot_sink){.put = snapshot_store_put, .context = &one->store};
    config->plan = &one->plan;
    config->processes = one->processes;
    list_peer(one, config);
    config->faults = config->source_faults = true;
    status = vmm_process_run(config, &one->error);
    if (one->plan.vcpus && snapshot_store_put_plan(&one->store, &one->plan, &one->error) < 0)
        event_not_proven(one->log, true, "%s", one->error.text);
    if (status == STATUS_INTACT && config->to_file)
        event_check(one->log, "handover/saved", "pass", "the file is whole, on the disk and in its place");
    else if (status == STATUS_INTACT && config->to >= 0)
        event_check(one->log, "handover/running", "pass", "the destination answered COMMIT with RUNNING");
    if (status != STATUS_INTACT)
        fprintf(stderr, "stopcopy: %s\n", one->error.text);
    kernel_log_collect(&one->kernel_log, one->log);
    return conclude(&one->options, one->log, &one->store, &one->writer, status);
}

static enum status end(struct one_process *one, enum status status)
{
    finding_commands_close(&one->on_finding);
    keep_close(&one->options.keep, &one->kernel_log);
    event_log_free(one->log);
    snapshot_store_close(&one->store);
    kernel_log_close(&one->kernel_log);
    report_writer_close(&one->writer);
    tls_credentials_free(one->tls);
    return status;
}

static enum status could_not(struct one_process *one, enum status status)
{
    fprintf(stderr, "stopcopy: %s\n", one->error.text);
    return end(one, status);
}

int cmd_run(int argc, char **argv)
{
    struct one_process one = {.store = {.fd = -1}, .kernel_log = {.fd = -1}, .writer = {.socket = -1}};
    struct vmm_process_config config = {.from = -1, .to = -1, .alive = -1};
    struct event_expectation expectation = {.guest = true};
    int status = options_parse(argc, argv, OPTIONS_GUEST,
                               "Boots the guest, runs its workload to the end and verifies it; nothing is migrated.\v"
                               "Examples:\n  stopcopy run --device test --ops 20000\n"
                               "  stopcopy run --workload cpu --workload memory,size=64M --ops 500",
                               &one.options);

    if (status)
        return status;
    expectation.devices = (unsigned int)one.options.device_count;
    if (begin(&one, "run", &expectation, argc, argv) < 0)
        return could_not(&one, STATUS_USAGE);
    return end(&one, complete(&one, &config));
}

static int open_sending(struct one_process *one, struct vmm_process_config *config,
                        const struct channel_address *address, struct channel_file *file)
{
    config->to_name = address->text;
    config->to_tls = one->tls;
    if (address->kind != CHANNEL_FILE) {
        config->to = channel_connect(address, deadline_in_ns(one->options.timeout_ns), &one->error);
        return config->to < 0 ? -1 : 0;
    }
    if (channel_file_create(file, address->path, &one->error) < 0)
        return -1;
    config->to_file = file;
    config->to = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);
    return config->to < 0 ? error_set(&one->error, errno, "%s", address->text) : 0;
}

static int open_receiving(struct one_process *one, struct vmm_process_config *config,
                          const struct channel_address *address)
{
    int listener;

    config->from_name = address->text;
    config->from_tls = one->tls;
    config->from_saved = address->kind == CHANNEL_FILE;
    if (config->from_saved) {
        config->from = channel_file_open(address->path, &one->error);
        return config->from < 0 ? -1 : stream_check_saved(config->from, address->text, &one->error);
    }
    listener = channel_listen(address, &one->error);
    if (listener >= 0)
        config->from = channel_accept(address, listener, deadline_in_ns(one->options.timeout_ns), &one->error);
    return config->from < 0 ? -1 : 0;
}

int cmd_source(int argc, char **argv)
{
    struct one_process one = {.store = {.fd = -1}, .kernel_log = {.fd = -1}, .writer = {.socket = -1}};
    struct vmm_process_config config = {.from = -1, .alive = -1};
    /* What became of the guest's work is seen where it ends: the destination proves it. */
    struct event_expectation expectation = {.migrations = 1};
    struct channel_file file = {.fd = -1, .folder = -1};
    struct channel_address address;
    int status = options_parse(argc, argv, OPTIONS_GUEST | OPTIONS_TO | OPTIONS_TRANSFER,
                               "Boots the guest, and migrates it to stopcopy dest.\v"
                               "Examples:\n  stopcopy source --device test --to unix:/run/user/1000/move.sock\n"
                               "  stopcopy source --device test --to file:guest.saved",
                               &one.options);

    if (status)
        return status;
    if (!one.options.channel) {
        fprintf(stderr, "stopcopy source: --to says where the destination is\n");
        return STATUS_USAGE;
    }
    if (channel_parse(one.options.channel, &address, &one.error) < 0 ||
        stream_security_prepare(&one.options, TLS_CLIENT, &address, &one.tls, &one.error) < 0)
        return could_not(&one, STATUS_USAGE);
    /* A guest that is saved goes nowhere yet. */
    if (address.kind == CHANNEL_FILE)
        expectation.migrations = 0;
    if (begin(&one, "source", &expectation, argc, argv) < 0)
        return could_not(&one, STATUS_USAGE);
    if (open_sending(&one, &config, &address, &file) < 0)
        return could_not(&one, STATUS_USAGE);
    status = (int)complete(&one, &config);
    channel_file_close(&file);
    return end(&one, (enum status)status);
}

int cmd_dest(int argc, char **argv)
{
    struct one_process one = {.store = {.fd = -1}, .kernel_log = {.fd = -1}, .writer = {.socket = -1}};
    struct vmm_process_config config = {.from = -1, .to = -1, .alive = -1, .other_side = true, .merge_log = true};
    struct event_expectation expectation = {.guest = true, .migrations = 1};
    struct channel_address address;
    int status = options_parse(argc, argv, OPTIONS_FROM | OPTIONS_TRANSFER,
                               "Receives a guest from stopcopy source, runs it to its end and verifies it.\v"
                               "Examples:\n  stopcopy dest --device test --from unix:/run/user/1000/move.sock\n"
                               "  stopcopy dest --device test --from file:guest.saved",
                               &one.options);

    if (status)
        return status;
    expectation.devices = (unsigned int)one.options.device_count;
    if (!one.options.channel) {
        fprintf(stderr, "stopcopy dest: --from says where the source finds this destination\n");
        return STATUS_USAGE;
    }
    if (channel_parse(one.options.channel, &address, &one.error) < 0 ||
        stream_security_prepare(&one.options, TLS_SERVER, &address, &one.tls, &one.error) < 0 ||
        begin(&one, "destination", &expectation, argc, argv) < 0)
        return could_not(&one, STATUS_USAGE);
    if (open_receiving(&one, &config, &address) < 0)
        return could_not(&one, STATUS_USAGE);
    return end(&one, complete(&one, &config));
}
