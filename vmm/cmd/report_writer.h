/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that writes the reports' files for one in a sandbox, which cannot open any: started before that, it takes whole
 * reports and puts each where the command line says, and nothing else anywhere.
 */
#ifndef STOPCOPY_CMD_REPORT_WRITER_H
#define STOPCOPY_CMD_REPORT_WRITER_H

#include <sys/types.h>

#include "vmm/cmd/options.h"

struct report_writer {
    int socket; /* -1: there is none, and none is needed */
    pid_t process;
};

/* Before any thread is started. Does nothing where no report goes to a file. */
int report_writer_open(struct report_writer *writer, const struct options *options, struct error *error);
/* Report number index of the options. Where there is no writer it is written here. */
int report_writer_write(struct report_writer *writer, const struct options *options, size_t index, json_t *report,
                        struct error *error);
void report_writer_close(struct report_writer *writer);

#endif
