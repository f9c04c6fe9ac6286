/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work that waits is done side by side, all of it, and each item once. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "vmm/migrate/crew.h"

#define ITEMS 8
#define PATIENCE_S 10

struct item {
    pthread_barrier_t *barrier; /* NULL: it waits for nobody */
    unsigned int done;
};

static void work(void *argument)
{
    struct item *item = argument;

    item->done++;
    if (item->barrier)
        pthread_barrier_wait(item->barrier);
}

static void expect_each_once(const struct item *items, unsigned int times)
{
    for (size_t i = 0; i < ITEMS; i++)
        cr_expect_eq(items[i].done, times, "item %zu was done %u times", i, items[i].done);
}

/* All of them wait for all: one after the other they never end. */
Test(crew, items_are_done_side_by_side, .timeout = PATIENCE_S)
{
    struct crew *crew = crew_new(ITEMS - 1, NULL);
    struct item items[ITEMS] = {{0}};
    pthread_barrier_t barrier;

    cr_assert(crew);
    pthread_barrier_init(&barrier, NULL, ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        items[i].barrier = &barrier;
    for (unsigned int round = 1; round <= 100; round++) {
        crew_do(crew, work, items, sizeof(items[0]), ITEMS);
        expect_each_once(items, round);
    }
    pthread_barrier_destroy(&barrier);
    crew_free(crew);
}

Test(crew, fewer_threads_do_all_of_it)
{
    for (size_t threads = 0; threads < 3; threads++) {
        struct crew *crew = crew_new(threads, NULL);
        struct item items[ITEMS] = {{0}};

        cr_assert(crew);
        for (unsigned int round = 1; round <= 100; round++)
            crew_do(crew, work, items, sizeof(items[0]), ITEMS);
        expect_each_once(items, 100);
        crew_do(crew, work, items, sizeof(items[0]), 0);
        expect_each_once(items, 100);
        crew_free(crew);
    }
}

Test(crew, without_one_the_caller_does_it)
{
    struct item items[ITEMS] = {{0}};

    crew_do(NULL, work, items, sizeof(items[0]), ITEMS);
    expect_each_once(items, 1);
    crew_free(NULL);
}
