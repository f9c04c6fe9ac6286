/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The events of a run as they might be: two migrations of one device, all of it right. */
#ifndef STOPCOPY_TEST_REPORT_SAMPLE_H
#define STOPCOPY_TEST_REPORT_SAMPLE_H

#include <jansson.h>

/* A new array, with times that are always the same. */
json_t *sample_events(void);

#endif
