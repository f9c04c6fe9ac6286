/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/fault_table.h"

/* Why no fault can stand for some of them. */
#define RACE                                                                                                           \
    "the reference server takes one command after the other, so nothing races in it; the lab's kernel drivers do"
#define NUMBERS                                                                                                        \
    "no rule is broken: the report has the estimate and what came of it, and --limit-downtime makes it a finding"

static const struct known_bug bugs[] = {
    {1, "D", "event queues are not rung again after a load, and completions are lost", ""},
    {2, "D", "a cache is written back after the state was saved, which is empty or stale", ""},
    {3, "D", "wrong DMA addresses in the stream", ""},
    {4, "D", "the guest never loaded a driver, and null queues crash the destination",
     "nothing is to be put in: check has a rule that moves a device without a driver"},
    {5, "D", "a reset races with a transition", RACE},
    {6, "D", "the device is not told that PRE_COPY was cancelled, and resources leak", ""},
    {7, "V", "several devices, one without P2P, or the order of the P2P states is not kept", ""},
    {8, "D", "the device goes on with DMA after STOP", ""},
    {9, "D", "the device raises an interrupt after STOP", ""},
    {10, "D", "the device's internal state advances in STOP", ""},
    {11, "D", "a transition happens without having been asked for", ""},
    {12, "V", "configuration space or MSI-X is loaded before the interrupt controller", ""},
    {13, "V", "MSI-X is enabled vector by vector, and the downtime grows with their number", NUMBERS},
    {14, "V", "the MSI-X capability and the table disagree in the saved state", ""},
    {15, "D/V", "INTx' pending or masked state is not in the stream, or the resample is lost: masked for ever", ""},
    {16, "V", "a restored BAR is reported as already in use",
     "a BAR's place is part of the state that the destination puts and checks; no allocator is between them"},
    {17, "D/V", "a doorbell or an eventfd is not looked at again after resume, and a request is stuck", ""},
    {18, "V", "an interrupt in flight at the pause is lost or delivered twice", ""},
    {19, "D", "the end of PRE_COPY's data is not ENOMSG", ""},
    {20, "V", "a partial write to the data fd is not continued", ""},
    {21, "V", "a short read is taken for the end", ""},
    {22, "V", "the sizes of pre-copy and stop-copy are counted twice", ""},
    {23, "D", "the queries of sizes return nonsense", ""},
    {24, "D", "the state grows after initial_bytes was reported", ""},
    {25, "V", "a data fd is kept that a transition has ended", ""},
    {26, "V", "chunks of one device arrive out of order", ""},
    {27, "D", "a bad header fails the write and still loads", ""},
    {28, "D", "signed overflow in the write of a resume",
     "a write of more than 2 GiB is needed, which vfio-user's messages do not carry; the lab's kernel drivers take it"},
    {29, "D", "a mismatch of version, queues or isolation is not refused early", ""},
    {30, "D/P", "an empty region or an invalid buffer crashes the destination", ""},
    {31, "D", "a truncated stream is accepted", ""},
    {32, "D", "the stream depends on the sizes of the writes", ""},
    {33, "D", "bytes after the end of the state are accepted", ""},
    {34, "V/D", "bits past a bitmap's pinned pages are lost with huge or unaligned ranges", ""},
    {35, "V", "a wrong offset loses the pages above 3 GiB", ""},
    {36, "V", "the log is read before tracking has started", ""},
    {37, "V", "the bitmap is not read before an unmap",
     "what an unmap loses is the IOMMU's log (iommufd, VFIO_IOMMU_DIRTY_PAGES); a migration here unmaps nothing"},
    {38, "D", "a tracker assumes pages of 4 KiB", ""},
    {39, "D", "a bitmap's size, its bounds or several ranges are handled wrongly", ""},
    {40, "D", "the tracker failed and nobody noticed", ""},
    {41, "P", "regions mapped before the start, or added later, are not tracked", ""},
    {42, "V", "logging is not stopped after a failure, and the next migration fails", ""},
    {43, "D", "a page that the device wrote is missing from its log", ""},
    {44, "V", "a failed transition leaves an intermediate state or ERROR, and nobody unwinds", ""},
    {45, "P", "the source cannot resume: STOP to RUNNING is refused", ""},
    {46, "P", "a reset does not bring back RUNNING", ""},
    {47, "V/P", "A to B to A fails", ""},
    {48, "P", "a transition to the same state misbehaves", ""},
    {49, "V", "convergence is misjudged", NUMBERS},
    {50, "V", "the device is stopped too early: a long outage", ""},
    {51, "V/P", "descriptors leak over repeated migrations", ""},
    {52, "P", "a request of the server and one of the client cross, and hang", ""},
    {53, "P", "an unmap of what is not mapped is not refused", ""},
    {54, "P", "the number of a state past the last indexes beyond the table", ""},
    {55, "V", "an access to a BAR in STOP_COPY corrupts the stream", ""},
    {56, "D", "STOP_COPY to PRE_COPY, or SET of ERROR, is accepted", ""},
    {57, "D", "a state that FEATURE_MIGRATION does not list is accepted", ""},
    {58, "V", "both sides run after a lost connection, or neither does", ""},
    {0},
};

const struct known_bug *fault_known_bugs(void)
{
    return bugs;
}
