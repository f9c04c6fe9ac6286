/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "vmm/proof/catch_up.h"

#include <pthread.h>
#include <sched.h>

/* Operations between two looks at the deadline: some ten milliseconds. */
#define STEP 8192
#define THREADS_MAX 16
#define FEW_OPERATIONS 20000 /* not worth a thread */

struct crew {
    struct catch_up *work;
    size_t count;
    size_t next;
    struct deadline deadline;
};

static void catch_up_one(struct catch_up *work, struct deadline deadline)
{
    uint64_t at = work->from;

    while (work->to - at > STEP) {
        if (deadline_expired(deadline))
            return;
        at += STEP;
        proof_model_digest(work->model, at);
    }
    work->digest = proof_model_digest(work->model, work->to);
    work->done = true;
}

static void *run(void *context)
{
    struct crew *crew = context;

    for (;;) {
        size_t i = __atomic_fetch_add(&crew->next, 1, __ATOMIC_RELAXED);

        if (i >= crew->count)
            return NULL;
        catch_up_one(&crew->work[i], crew->deadline);
    }
}

static size_t thread_count(const struct crew *crew)
{
    uint64_t operations = 0;
    size_t threads = 1;
    cpu_set_t cpus;

    for (size_t i = 0; i < crew->count && operations < FEW_OPERATIONS; i++)
        operations += crew->work[i].to - crew->work[i].from;
    if (operations >= FEW_OPERATIONS && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        threads = (size_t)CPU_COUNT(&cpus);
    if (threads > crew->count)
        threads = crew->count;
    return threads < THREADS_MAX ? threads : THREADS_MAX;
}

void catch_up_all(struct catch_up *work, size_t count, struct deadline deadline)
{
    struct crew crew = {.work = work, .count = count, .deadline = deadline};
    pthread_t thread[THREADS_MAX];
    size_t threads = thread_count(&crew), started = 0;

    /* This thread is one of them. */
    while (started + 1 < threads && pthread_create(&thread[started], NULL, run, &crew) == 0)
        started++;
    run(&crew);
    while (started > 0)
        pthread_join(thread[--started], NULL);
}
