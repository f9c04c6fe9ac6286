/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Advances many models at once, within a deadline. */
#ifndef STOPCOPY_PROOF_CATCH_UP_H
#define STOPCOPY_PROOF_CATCH_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/deadline.h"
#include "vmm/proof/proof.h"

/* One model's way; no two share a model. */
struct catch_up {
    struct proof_model *model;
    uint64_t from; /* where the model stands */
    uint64_t to;
    bool done; /* it got there before the deadline */
    uint64_t digest;
};

/* In as many threads as the process may use CPUs; in this one where none can be had. */
void catch_up_all(struct catch_up *work, size_t count, struct deadline deadline);

#endif
