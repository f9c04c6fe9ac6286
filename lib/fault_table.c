/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fault_table.h"

#include <stdlib.h>
#include <string.h>

/* The devices of the commands. */
#define DMA "--device test:memory=1M"
#define LIVE "--device test:memory=1M,features=stop-copy+p2p+pre-copy"
#define UART "--device test:model=uart"
#define MIGRATE "migrate " DMA
#define PRECOPY "migrate --mode pre-copy " LIVE
#define IDLE " --skip stop/* --skip dirty/* --skip guest/* --skip race/*"
#define CHECK "check test:memory=64K,features=stop-copy+p2p+pre-copy" IDLE
#define CHECK_SHORT "check test:memory=64K,features=stop-copy" IDLE
#define CHECK_WORK "check test:memory=1M,features=stop-copy+p2p+pre-copy"
#define DIRTY CHECK_WORK " --only dirty/*"
#define SHORT_WAITS " --arc-timeout 300ms --message-timeout 300ms"

static const struct fault_row table[] = {
    /* The VMM's own steps. */
    {"page-not-sent", FAULT_VMM, "", "", "one page of RAM that holds data is left out of the stream", MIGRATE,
     "ram/page-differs", "proof/* guest/*", 1},
    {"register-changed", FAULT_VMM, "", "", "one bit of a vector register of vCPU 0 is changed on its way", MIGRATE,
     "proof/digest-after", "guest/*", 1},
    {"interrupt-dropped", FAULT_VMM, "17, 18", "", "the interrupts of one vector are lost after the switch", MIGRATE,
     "guest/interrupt-lost", "guest/* proof/*", 1},
    {"resample-lost", FAULT_VMM, "15", "",
     "after the switch the guest's EOI of INTx does not reach the device, which stays masked", "migrate " UART,
     "guest/interrupt-lost", "guest/* proof/*", 1},
    {"tsc-ahead", FAULT_VMM, "", "", "the source says that its guest's TSC is far ahead of the destination's",
     "migrate", "clock/tsc-behind", "", 3},
    {"log-ignored", FAULT_VMM, "43", "", "the VMM ignores the device's dirty log", PRECOPY, "ram/log-missed",
     "ram/page-differs guest/* proof/*", 1},
    {"log-read-early", FAULT_VMM, "36", "", "the dirty log is read before it was started", PRECOPY,
     "device/log-refused", "", 3},
    {"log-left-on", FAULT_VMM, "42", "", "after a failure the dirty log is not stopped", PRECOPY " --fault read-fails",
     "device/log-left-on", "device/read-failed", 3},
    {"write-not-continued", FAULT_VMM, "20", "",
     "a write to the data session that took half of its bytes is taken for the whole", MIGRATE,
     "device/write-not-continued", "", 3},
    {"chunks-swapped", FAULT_VMM, "26", "", "two pieces of a device's stream change places", MIGRATE,
     "stream/device-data-order", "", 3},
    {"size-counted-twice", FAULT_VMM, "22", "",
     "the data that went in PRE_COPY is counted once more in the size of the whole", PRECOPY, "stream/device-size", "",
     3},
    {"devices-before-vcpus", FAULT_VMM, "12", "",
     "configuration space and MSI-X are loaded before the interrupt controller", MIGRATE, "stream/order", "", 3},
    {"msix-disagrees", FAULT_VMM, "14", "", "the MSI-X capability and the table disagree in the saved state", MIGRATE,
     "stream/msix-disagrees", "", 3},
    {"p2p-order", FAULT_VMM, "7", "", "a device goes on to STOP_COPY while another one is in RUNNING", MIGRATE " " DMA,
     "device/p2p-order", "", 3},
    {"session-forgotten", FAULT_VMM, "25", "",
     "the data session of PRE_COPY is closed, and another one expected of STOP_COPY", PRECOPY, "device/no-session", "",
     3},
    {"bar-access", FAULT_VMM, "55", "", "a BAR is written while the device is in STOP_COPY", MIGRATE,
     "device/bar-access", "", 1},
    {"no-unwind", FAULT_VMM, "44", "", "after a failed migration the devices are left where they are",
     MIGRATE " --fault read-fails --timeout 3s", "device/not-running",
     "device/read-failed device/access guest/* proof/*", 5},
    {"both-run", FAULT_VMM, "58", "", "the source's guest goes on after COMMIT", MIGRATE, "handover/both-run", "", 1},
    {"neither-runs", FAULT_VMM, "58", "", "the destination says RUNNING, and its guest stands", MIGRATE " --timeout 3s",
     "guest/no-progress", "guest/* proof/*", 5},
    {"paused-early", FAULT_VMM, "50", "", "the guest is paused 400 ms before anything is done",
     MIGRATE " --limit-downtime 300ms", "limit/downtime", "", 1},
    {"descriptor-leaked", FAULT_VMM, "51", "", "the source leaves a descriptor open", MIGRATE, "host/descriptor-leak",
     "", 1},

    /* Work and interrupts that are lost with a load. */
    {"completion-repeated", FAULT_DESTINATION, "18", "at=N",
     "the Nth completion since the device was made or loaded is posted twice, and the queue's count stays one too "
     "high; "
     "without N the fifth since it was loaded or left STOP",
     MIGRATE, "guest/completion-sequence", "guest/* proof/*", 1},
    {"completions-lost", FAULT_DESTINATION, "1", "", "after a load no completion of queue 0 is posted",
     MIGRATE " --timeout 3s", "guest/no-progress", "guest/* proof/*", 5},
    {"doorbells-lost", FAULT_DESTINATION, "17", "", "after a load the doorbell of queue 0 is not looked at",
     MIGRATE " --timeout 3s", "guest/no-progress", "guest/* proof/*", 5},
    {"dma-address-wrong", FAULT_DESTINATION, "3", "", "after a load data goes to addresses that are 64 too high",
     MIGRATE, "guest/data", "guest/* proof/*", 1},
    {"interrupt-lost", FAULT_DESTINATION, "18", "at=N,one-in=N,seed=S",
     "the Nth interrupt after a load is not raised, the first where nothing is said", MIGRATE, "guest/interrupt-lost",
     "guest/* proof/*", 1},
    {"level-lost", FAULT_DESTINATION, "15", "at=N,one-in=N,seed=S",
     "the Nth time after a load that INTx is asserted, the first where nothing is said, it stays low for good",
     "migrate " UART, "guest/interrupt-lost", "guest/* proof/*", 1},
    {"device-byte-changed", FAULT_DESTINATION, "2", "at=OFFSET",
     "after a load that passed every check internal memory differs: the byte at OFFSET, or without it the first of "
     "each "
     "page that is not zero (a single one is often overwritten before it is read)",
     MIGRATE, "guest/data", "guest/* proof/*", 1},
    {"saved-state-stale", FAULT_SOURCE, "2", "at=OFFSET",
     "what is saved of internal memory is not what is in it, as with a cache that is written back after the save",
     MIGRATE, "guest/data", "guest/* proof/*", 1},

    /* Quiescence. */
    {"dma-after-stop", FAULT_SOURCE, "8", "at=MILLISECONDS", "DMA goes on in STOP and STOP_COPY, once a millisecond",
     MIGRATE " --workload dma", "stop/dma-after-stop", "ram/* guest/* proof/*", 1},
    {"write-after-save", FAULT_SOURCE, "2, 8", "", "one write by DMA on the way from STOP_COPY to STOP", MIGRATE,
     "stop/dma-after-stop", "ram/* guest/* proof/*", 1},
    {"interrupt-after-stop", FAULT_SOURCE, "9", "at=MILLISECONDS",
     "interrupts are raised in STOP and STOP_COPY, once a millisecond", MIGRATE, "stop/interrupt-after-stop",
     "guest/* proof/*", 1},

    {"p2p-not-quiesced", FAULT_SOURCE, "7", "",
     "in RUNNING_P2P and PRE_COPY_P2P DMA to other devices goes on, and one such write arrives when the device's own "
     "state "
     "was read to the end",
     "migrate --workload dma,p2p=on,depth=128 --device test:latency=20ms --device test:latency=20ms",
     "guest/peer-window", "guest/* proof/*", 1},

    /* Arcs. */
    {"arc-fails", FAULT_SOURCE, "44", "arc=STATE,from=STATE,errno=N,to=error|stay,at=N,one-in=N,seed=S",
     "an arc to a state (STOP_COPY) fails with an errno (5, EIO), and leaves the device where it was, or in ERROR",
     MIGRATE, "device/arc-failed", "", 3},
    {"stop-to-running-refused", FAULT_DESTINATION, "45", "errno=N", "STOP to RUNNING is refused", MIGRATE,
     "device/arc-failed", "", 5},
    {"arc-unanswered", FAULT_SOURCE, "52", "arc=STATE,at=N",
     "the server hangs where a state (STOP_COPY) is asked for, and answers nothing any more", MIGRATE SHORT_WAITS,
     "device/no-answer", "", 5},
    {"access-unanswered", FAULT_DESTINATION, "52", "at=N", "the server hangs at the Nth access to a region (the 4th)",
     MIGRATE SHORT_WAITS, "device/no-answer", "", 3},
    {"state-changes-unasked", FAULT_SOURCE, "11", "arc=STATE,from=STATE,at=N",
     "a moment after an arc to a state (STOP_COPY) the device is in ERROR", MIGRATE, "device/state-changed",
     "device/error-state", 5},

    /* The data transfer session. */
    {"read-fails", FAULT_SOURCE, "44", "byte=N", "reading the stream fails at a byte", MIGRATE, "device/read-failed",
     "", 3},
    {"read-unanswered", FAULT_SOURCE, "52", "byte=N", "reading the stream stalls at a byte", MIGRATE SHORT_WAITS,
     "device/no-answer", "", 5},
    {"read-short", FAULT_SOURCE, "21", "byte=N",
     "a read in the middle of the stream has fewer bytes than were asked for, up to the byte", MIGRATE,
     "device/data-after-end", "device/arc-failed", 3},
    {"saved-byte-changed", FAULT_SOURCE, "3, 27", "byte=N", "a byte of the stream is another one", MIGRATE,
     "device/state-refused", "", 3},
    {"write-fails", FAULT_DESTINATION, "44", "byte=N,errno=N", "writing the stream fails at a byte", MIGRATE,
     "device/state-refused", "", 3},
    {"write-unanswered", FAULT_DESTINATION, "52", "byte=N", "writing the stream stalls at a byte", MIGRATE SHORT_WAITS,
     "device/no-answer", "", 3},
    {"precopy-info-nonsense", FAULT_SOURCE, "23", "", "initial_bytes and dirty_bytes are 2^63 each", PRECOPY,
     "device/precopy-info-nonsense", "", 1},
    {"data-size-nonsense", FAULT_SOURCE, "23", "", "VFIO_DEVICE_FEATURE_MIG_DATA_SIZE says 2^64 - 4096", PRECOPY,
     "device/precopy-info-nonsense", "", 1},
    {"pre-copy-end-is-end", FAULT_SOURCE, "19", "",
     "the end for the time being in PRE_COPY is answered as an end, not with ENOMSG", PRECOPY, "device/end-in-pre-copy",
     "", 1},
    {"bar-access-corrupts", FAULT_SOURCE, "55", "", "an access to BAR0 in STOP_COPY changes a byte of the stream",
     MIGRATE " --fault bar-access", "device/state-refused", "device/bar-access", 3},

    /* The log of DMA. */
    {"log-page-missing", FAULT_SOURCE, "43", "at=N,one-in=N,seed=S",
     "the Nth page that was written, or one in N (2), is not in the log", PRECOPY, "ram/log-missed",
     "ram/page-differs guest/* proof/*", 1},
    {"log-empty", FAULT_SOURCE, "40", "", "the tracker has failed, and the log is empty without an error", PRECOPY,
     "ram/log-missed", "ram/page-differs guest/* proof/*", 1},
    {"log-earlier-mappings-lost", FAULT_SOURCE, "41", "", "what was mapped before the start is not tracked", PRECOPY,
     "ram/log-missed", "ram/page-differs guest/* proof/*", 1},

    {"log-shifted-above-3g", FAULT_BOTH, "35", "", "above 3 GiB pages are reported at a wrong offset", DIRTY,
     "dirty/each-range-alone", "dirty/*", 1},
    {"log-first-range-only", FAULT_BOTH, "39", "", "of several ranges the first one is logged alone", DIRTY,
     "dirty/every-page", "dirty/*", 1},
    {"log-pages-of-4k", FAULT_BOTH, "38", "", "a bit stands for 4 KiB, whatever page size was asked for", DIRTY,
     "dirty/page-sizes", "", 1},
    {"log-not-cleared", FAULT_BOTH, "39", "", "a report does not clear the log", DIRTY, "dirty/cleared-by-report", "",
     1},
    {"log-end-lost", FAULT_BOTH, "34", "", "the last bits of a report that is not of whole words are lost", DIRTY,
     "dirty/report-in-pieces", "dirty/page-sizes", 1},
    {"log-second-start-accepted", FAULT_BOTH, "42", "", "a START is taken while the log runs", DIRTY,
     "dirty/second-start-refused", "", 1},
    {"log-stop-accepted", FAULT_BOTH, "42", "", "a STOP is taken where no log runs", DIRTY,
     "dirty/stop-unstarted-refused", "", 0},

    /* What check finds: the server. */
    {"unmap-of-nothing-accepted", FAULT_BOTH, "53", "", "an unmap of what is not mapped succeeds", CHECK,
     "server/unmap-of-nothing-refused", "", 1},
    {"empty-write-crashes", FAULT_BOTH, "30", "", "the server ends at a write of no bytes to the stream", CHECK,
     "server/empty-write", "device/keeps-answering", 1},

    /* What check finds: interrupts. */
    {"interrupt-repeated", FAULT_BOTH, "18", "at=N,one-in=N,seed=S",
     "the Nth interrupt after a load is raised twice, the first where nothing is said", CHECK_WORK " --only stop/*",
     "stop/no-extra-interrupt", "", 0},
    {"pending-interrupt-lost", FAULT_BOTH, "15", "", "an interrupt that waits while the device is stopped is lost",
     CHECK_WORK " --only guest/*", "guest/interrupts-masked", "", 1},

    /* What check finds: the state machine. */
    {"same-state-refused", FAULT_BOTH, "48", "", "a transition to the state that the device is in is refused", CHECK,
     "fsm/same-state", "fsm/walk", 1},
    {"stop-copy-to-pre-copy-accepted", FAULT_BOTH, "56", "", "STOP_COPY to PRE_COPY or PRE_COPY_P2P is taken", CHECK,
     "fsm/stop-copy-to-pre-copy-refused", "", 1},
    {"error-accepted", FAULT_BOTH, "56", "", "SET of ERROR is taken", CHECK, "fsm/set-error-refused", "", 1},
    {"state-not-offered-accepted", FAULT_BOTH, "57", "", "a state that FEATURE_MIGRATION does not list is taken",
     CHECK_SHORT, "fsm/optional-state-refused", "", 1},
    {"state-past-last-accepted", FAULT_BOTH, "54", "", "the number of a state past the last one is taken", CHECK,
     "fsm/past-the-last-refused", "", 1},
    {"arc-stops-short", FAULT_BOTH, "44", "", "SET of STOP succeeds, and the device is in STOP_COPY", CHECK,
     "fsm/state-read-back", "fsm/walk", 1},
    {"reset-keeps-state", FAULT_BOTH, "46", "", "a reset brings back the device, and not the state RUNNING", CHECK,
     "reset/running", "load/good-after-refused", 1},
    {"pre-copy-cancel-leaks", FAULT_BOTH, "6", "", "once PRE_COPY was cancelled, no other save can begin", CHECK,
     "precopy/cancelled", "fsm/pairs fsm/walk", 1},
    {"load-after-save-refused", FAULT_BOTH, "47", "", "a device that was saved once refuses RESUMING", CHECK,
     "roles/load-after-save", "fsm/pairs fsm/walk reset/usable-after", 1},
    {"descriptors-leak", FAULT_BOTH, "51", "", "the server leaves a descriptor open at each save", CHECK,
     "reset/descriptors", "", 0},

    /* What check finds: streams. */
    {"truncated-accepted", FAULT_BOTH, "31", "", "a truncated stream loads", CHECK, "data/truncated-refused",
     "data/changed-byte-refused", 1},
    {"extended-accepted", FAULT_BOTH, "33", "", "bytes after the end of the stream are taken", CHECK,
     "data/extended-refused", "", 1},
    {"changed-byte-accepted", FAULT_BOTH, "27", "", "a changed byte is taken", CHECK, "data/changed-byte-refused", "",
     1},
    {"other-device-accepted", FAULT_BOTH, "29", "", "the stream of another device is taken", CHECK,
     "data/foreign-refused", "", 1},
    {"bad-header-loads", FAULT_BOTH, "27", "", "a bad header fails the write, and RESUMING to STOP does not", CHECK,
     "load/refused-write-holds", "", 1},
    {"empty-accepted", FAULT_BOTH, "30", "", "a load without any data succeeds", CHECK, "data/empty-refused", "", 1},
    {"segmentation-matters", FAULT_BOTH, "32", "", "the header must come in one write", CHECK,
     "data/write-segmentation", "", 1},
    {"load-after-failed-refused", FAULT_BOTH, "47", "", "after a load that failed every other one does", CHECK,
     "load/good-after-refused", "data/* load/*", 1},
    {"state-advances", FAULT_BOTH, "10", "at=OFFSET", "internal memory changes while the device is in STOP",
     CHECK_WORK " --only stop/*", "stop/state-holds", "", 1},
    {"initial-bytes-grow", FAULT_BOTH, "24", "", "initial_bytes grows each time that it is asked", CHECK,
     "precopy/initial-bytes", "", 0},
    {0},
};

const struct fault_row *fault_table(void)
{
    return table;
}

const struct fault_row *fault_table_find(const char *text)
{
    size_t length = strcspn(text, ",");

    for (const struct fault_row *row = table; row->name; row++)
        if (strlen(row->name) == length && !strncmp(row->name, text, length))
            return row;
    return NULL;
}

bool fault_row_has_bug(const struct fault_row *row, unsigned int number)
{
    const char *next = row->bugs;

    while (*next) {
        char *end;

        if (strtoul(next, &end, 10) == number)
            return true;
        next = end + strspn(end, ", ");
    }
    return false;
}
