/* SPDX-License-Identifier: Apache-2.0 */
/* Runs over time as comma-separated values (RFC 4180; docs/export.md has the columns). */
#ifndef DATASTALL_OUTPUT_CSV_H
#define DATASTALL_OUTPUT_CSV_H

#include <stdio.h>

#include "diagnose/summary.h"

/* The line of names; then each run's rows. What could not be written, the stream says. */
void csv_head(FILE *file);
void csv_write(const struct summary *summary, FILE *file);

#endif
