/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The subcommands. Each takes its own words (argv[0] is its name) and returns the exit status. */
#ifndef STOPCOPY_CMD_H
#define STOPCOPY_CMD_H

enum status {
    STATUS_INTACT = 0,
    STATUS_BROKEN = 1,     /* a rule was broken, or the guest was not intact */
    STATUS_USAGE = 2,      /* the command line or the input is wrong */
    STATUS_ON_SOURCE = 3,  /* the migration failed, the guest runs intact on the source */
    STATUS_LOSS = 4,       /* it runs on the source with a device's loss declared */
    STATUS_NO_GUEST = 5,   /* no guest runs */
    STATUS_UNKNOWN = 6,    /* outcome unknown, the guest is held paused */
    STATUS_INCOMPLETE = 7, /* nothing is broken, and not all is proven */
    STATUS_CANNOT = 77,    /* this host cannot */
};

int cmd_run(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_source(int argc, char **argv);
int cmd_dest(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_faults(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_bringup(int argc, char **argv);
int cmd_suite(int argc, char **argv);
int cmd_replay(int argc, char **argv);

#endif
