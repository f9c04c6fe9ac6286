/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handover of vmm/migrate/handover.h and docs/stream.md: who has the guest, whatever is lost on the way.
 *
 * The two ends, from the pause on, and a connection between them. At every step either end may be killed, and the
 * connection may be lost, with all that is on its way. Either end may wait past its deadline although the other lives
 * and the message still comes. What an end sends may be taken by its own socket and never arrive.
 *
 * Built with one of WEAK_*, the protocol lacks one of its rules, and an assertion must fail: handover.sh holds that each
 * does, so that this model is known to see what it is for.
 */
mtype = { READY, COMMIT, RUNNING, NOT_STARTED, REFUSED, FAILED };
mtype = { WORKING, INTACT, ON_SOURCE, NO_GUEST, UNKNOWN };

chan to_source = [3] of { mtype };
chan to_destination = [3] of { mtype };
bool lost = false; /* the connection */

bool source_dead = false;
bool destination_dead = false;
mtype source_status = WORKING; /* what each end reported: its exit status */
mtype destination_status = WORKING;

bool source_runs = false; /* the guest's vCPUs enter there: at the beginning it is paused */
bool destination_runs = false;
bool left_stop = false;   /* an arc out of STOP was tried on a device of the destination */

/* What was sent arrives, or is lost with the connection. */
#define SEND(channel, message) \
    if \
    :: atomic { !lost -> channel!message } \
    :: lost = true \
    fi

/* Where a device of the destination ran ahead, what the source holds is no longer the guest. */
inline source_resumes()
{
    atomic { assert(!left_stop && !destination_runs); source_runs = true; source_status = ON_SOURCE }
}

/* A killed process takes no further step. */
active proctype source() provided (!source_dead)
{
    mtype message;

    /* Everything was sent. */
    if
    :: to_source?message ->
        if
        :: message == READY -> skip
        :: else -> source_resumes(); goto done
        fi
    :: true /* the deadline, or the connection is lost */ -> lost = true; source_resumes(); goto done
    fi;

    /* The point of no return is that COMMIT was taken whole. */
    if
    :: atomic { !lost -> to_destination!COMMIT }
    :: lost -> source_resumes(); goto done
    fi;

    if
    :: to_source?message ->
        if
        :: message == RUNNING -> source_status = INTACT
        :: message == NOT_STARTED || message == REFUSED -> source_resumes()
        :: message == FAILED -> source_status = NO_GUEST
        :: else -> source_status = UNKNOWN
        fi
    :: true /* the deadline, or the connection is lost */ ->
#if defined(WEAK_RESUME_WHEN_LOST)
        source_resumes()
#elif defined(WEAK_SILENCE_IS_CONSENT)
        source_status = INTACT
#else
        source_status = UNKNOWN /* it stays paused */
#endif
    fi;
done:
    skip
}

active proctype destination() provided (!destination_dead)
{
    mtype message;

    /* Everything was loaded, or it was not. */
    if
    :: SEND(to_source, REFUSED); destination_status = ON_SOURCE; goto done
    :: SEND(to_source, READY)
    fi;

#ifndef WEAK_START_AT_READY
    if
    :: to_destination?message -> assert(message == COMMIT)
    :: true /* the deadline, or the connection is lost */ ->
        SEND(to_source, REFUSED);
#ifdef WEAK_LATE_COMMIT
        if
        :: to_destination?message
        :: true -> destination_status = ON_SOURCE; goto done
        fi
#else
        destination_status = ON_SOURCE;
        goto done
#endif
    fi;
#endif

    /* What comes before the first arc out of STOP changes nothing that a guest or a device would see. */
    if
    :: SEND(to_source, NOT_STARTED); destination_status = ON_SOURCE; goto done
    :: true
    fi;
    atomic { assert(!source_runs); left_stop = true };
    if
    :: /* an arc failed, or a vCPU does not enter */
#ifdef WEAK_NOT_STARTED_TOO_LATE
        SEND(to_source, NOT_STARTED);
#else
        SEND(to_source, FAILED);
#endif
        destination_status = NO_GUEST;
        goto done
    :: true
    fi;
    atomic { assert(!source_runs); destination_runs = true };
    SEND(to_source, RUNNING);
    destination_status = INTACT;
done:
    skip
}

/* Kills one, both or none, at any step. A guest ends with its process, and whoever waits for the process sees that. */
active proctype killer()
{
    if
    :: atomic { source_dead = true; source_runs = false }
    :: true
    fi;
    if
    :: atomic { destination_dead = true; destination_runs = false }
    :: true
    fi
}

/* Once nobody can take a step any more. */
active proctype judge()
{
    timeout;
    /* Never two guests. */
    assert(!(source_runs && destination_runs));
    /* Never none without a report. */
    assert(source_runs || destination_runs || source_dead || destination_dead ||
           source_status == NO_GUEST || source_status == UNKNOWN || destination_status == NO_GUEST);
    /* And what is reported is so. */
    assert(source_dead || source_status != WORKING);
    assert(destination_dead || destination_status != WORKING);
    assert(source_dead || source_status != ON_SOURCE || (source_runs && !left_stop));
    assert(source_dead || source_status != INTACT || destination_runs || destination_dead);
    assert(source_dead || source_status != NO_GUEST || (left_stop && !destination_runs));
    assert(destination_dead || destination_status != INTACT || destination_runs);
    assert(destination_dead || destination_status != ON_SOURCE || !left_stop);
    /* A model in which nothing happens proves nothing: each end below is one that there must be. */
#ifdef REACH
    assert(!(REACH))
#endif
}
