/* SPDX-License-Identifier: GPL-2.0-or-later */
/* stopcopy: finds the subcommand and hands over to it. */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/io.h"
#include "vmm/cmd/cmd.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text;
};

static const struct subcommand subcommands[] = {
    {"run", cmd_run, "boot the guest, run the workload to its end, verify; no migration"},
    {"migrate", cmd_migrate, "all of it on this host: two VMM processes, device servers, verify, report"},
    {"source", cmd_source, "the sending half alone"},
    {"dest", cmd_dest, "the receiving half alone"},
    {"probe", cmd_probe, "what a device is and supports, and what is missing for migration"},
    {"state", cmd_state, "one device by hand: get, set, save, load, size, reset"},
    {"faults", cmd_faults, "the faults that can be put in, and the findings they must lead to"},
    {"check", cmd_check, "the protocol rules against one device, without KVM"},
    {"inspect", cmd_inspect, "what is in a stream that was saved in a file, and what is wrong with it"},
    {"bringup", cmd_bringup, "everything that fits a device, in one run with one report"},
    {"suite", cmd_suite, "matrices of devices, modes, workloads and faults from a file, with one report"},
    {"replay", cmd_replay, "drive a device by the log of another, or run a report's command again"},
};

static void usage(FILE *file)
{
    fprintf(file, "Usage: stopcopy COMMAND [OPTIONS]\n\n"
                  "A userspace test VMM for VFIO migration: it migrates a live guest that works a passed-through\n"
                  "device, and proves that the work went on intact.\n\nCommands:\n");
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        fprintf(file, "  %-8s  %s\n", subcommands[i].name, subcommands[i].text);
    fprintf(file, "\nTry: stopcopy migrate --device test\n"
                  "     stopcopy COMMAND --help for its options\n");
}

int main(int argc, char **argv)
{
    /* A peer that goes away is an error where it is written to, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);
    io_raise_descriptor_limit();
    if (argc < 2) {
        usage(stderr);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return STATUS_INTACT;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("%s\n", PACKAGE_STRING);
        return STATUS_INTACT;
    }
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (!strcmp(argv[1], subcommands[i].name))
            return subcommands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "stopcopy: there is no command '%s'; stopcopy --help lists them\n", argv[1]);
    return STATUS_USAGE;
}
