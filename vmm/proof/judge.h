/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judges a guest's work over a whole run: one snapshot for each pause, in order, and one at the end, against a model of
 * each chain that goes along. What is found goes to the event log; the leg of pause n is n, and what has gone wrong
 * between pause n and the next snapshot belongs to leg n.
 *
 * Rules of its findings:
 *   guest/chains              the guest has not the chains that it was asked for
 *   guest/...                 what the guest itself found to be wrong, under the name that it gave
 *   guest/unfinished          the guest was not done at the end
 *   guest/operations          a chain of the leading workload did another number of operations than was asked for
 *   proof/digest-before       a chain was wrong at the first pause, before any migration
 *   proof/digest-after        a chain was right before a migration and wrong after it
 *   proof/digest              a chain was wrong, in a run without a migration
 *   proof/backwards           a chain's operations, or a vCPU's clock, went backwards
 *   proof/submitted           fewer operations were submitted than done, or at the end not as many
 *   proof/repeats             more than one pair of edu was repeated since a pause, or another one than was under way at
 *                             it, or one before any pause
 *
 * Not proven, and the verdict incomplete: a pause while the guest was booting, operations in a number that could not be
 * recomputed within the budget.
 */
#ifndef STOPCOPY_JUDGE_H
#define STOPCOPY_JUDGE_H

#include "vmm/proof/proof.h"
#include "vmm/report/event_log.h"

struct proof_judge;

/* budget_ns: the longest that the judging of one snapshot may take, in which the models catch up with the guest: as
 * long as the guest ran is plenty. The log stays the caller's, the plan is copied. */
struct proof_judge *proof_judge_new(const struct proof_plan *plan, struct event_log *log, uint64_t budget_ns,
                                    struct error *error);
/* Judge one snapshot; -1 only where judging itself failed. Uses as many threads as the process may use CPUs. */
int proof_judge_pause(struct proof_judge *judge, const struct proof_snapshot *snapshot, struct error *error);
int proof_judge_end(struct proof_judge *judge, const struct proof_snapshot *snapshot, struct error *error);
void proof_judge_free(struct proof_judge *judge);

#endif
