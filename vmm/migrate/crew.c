/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/migrate/crew.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t begun; /* there are items to be taken, or nothing more comes */
    pthread_cond_t done;
    bool ends;
    /* The work at hand: items from next on are nobody's yet, and left are not done. */
    void (*work)(void *item);
    char *items;
    size_t size, count, next, left;
    size_t threads;
    pthread_t thread[];
};

/* With the lock held, which it lets go of while it works. Returns false where nothing is left to be taken. */
static bool work_one(struct crew *crew)
{
    void *item = crew->items + crew->next * crew->size;

    if (crew->next == crew->count)
        return false;
    crew->next++;
    pthread_mutex_unlock(&crew->lock);
    crew->work(item);
    pthread_mutex_lock(&crew->lock);
    if (--crew->left == 0)
        pthread_cond_signal(&crew->done);
    return true;
}

static void *stand_ready(void *argument)
{
    struct crew *crew = argument;

    pthread_mutex_lock(&crew->lock);
    while (!crew->ends)
        if (!work_one(crew))
            pthread_cond_wait(&crew->begun, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start(struct crew *crew, size_t threads, struct error *error)
{
    sigset_t all, before;
    int number = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!number && crew->threads < threads) {
        number = pthread_create(&crew->thread[crew->threads], NULL, stand_ready, crew);
        crew->threads += !number;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number ? error_set(error, number, "making %zu threads for the devices' arcs", threads) : 0;
}

struct crew *crew_new(size_t threads, struct error *error)
{
    struct crew *crew = calloc(1, sizeof(*crew) + threads * sizeof(crew->thread[0]));

    if (!crew) {
        error_set(error, ENOMEM, "making %zu threads for the devices' arcs", threads);
        return NULL;
    }
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->begun, NULL);
    pthread_cond_init(&crew->done, NULL);
    if (start(crew, threads, error) == 0)
        return crew;
    crew_free(crew);
    return NULL;
}

void crew_free(struct crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->ends = true;
    pthread_cond_broadcast(&crew->begun);
    pthread_mutex_unlock(&crew->lock);
    for (size_t i = 0; i < crew->threads; i++)
        pthread_join(crew->thread[i], NULL);
    pthread_cond_destroy(&crew->done);
    pthread_cond_destroy(&crew->begun);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void crew_do(struct crew *crew, void (*work)(void *item), void *items, size_t size, size_t count)
{
    /* Nobody needs to be woken for a single one. */
    if (!crew || !crew->threads || count < 2) {
        for (size_t i = 0; i < count; i++)
            work((char *)items + i * size);
        return;
    }
    pthread_mutex_lock(&crew->lock);
    crew->work = work;
    crew->items = items;
    crew->size = size;
    crew->next = 0;
    crew->count = crew->left = count;
    pthread_cond_broadcast(&crew->begun);
    while (work_one(crew))
        ;
    while (crew->left)
        pthread_cond_wait(&crew->done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
}
