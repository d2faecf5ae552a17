/* SPDX-License-Identifier: Apache-2.0 */
/* `run --set [NAME:]ARGUMENT=VALUE`: other values for arguments of DataLoader's constructor. Only what
 * decides how batches are made is taken, never what decides which. */
#ifndef DATASTALL_CLI_SETTINGS_H
#define DATASTALL_CLI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

struct summary;

#define SETTINGS_BYTES 256 /* as RF_SETTINGS_BYTES */

/* Adds one to `lines` (a line each, as the hooks read them; SETTINGS_BYTES). False after saying what is
 * wrong with it. */
bool settings_add(const char *text, char *lines);

/* Says what will be set, and what depends on it. */
void settings_say(const char *lines);

/* Says of each that names a loader which the run has none of, and which it has. */
void settings_say_unused(const char *lines, const struct summary *summary);

/* For the hooks: what is in `lines`, or nothing where that is "". Returns 0 or an error. */
int settings_export(const char *lines);

#endif
