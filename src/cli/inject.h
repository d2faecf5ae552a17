/* SPDX-License-Identifier: Apache-2.0 */
/* How `datastall run` reaches the Python processes of a command. */
#ifndef DATASTALL_CLI_INJECT_H
#define DATASTALL_CLI_INJECT_H

#include <limits.h>

/* Finds the Python package beside this program ($DATASTALL_PACKAGE_DIR, else ../lib/python3.N/
 * site-packages/datastall and its relatives). 0, or an error with its sentence. */
int inject_find_package(char package[PATH_MAX]);

/* Sets what the child's environment needs: PYTHONPATH, DATASTALL_RUN_DIR (where the run is recorded),
 * DATASTALL_RUN_HOME (where it will be in the end), DATASTALL_PACKAGE_DIR. */
int inject_environment(const char *package, const char *run_folder, const char *home);

/* Why nothing was recorded, as one sentence, from the marks that the hooks left in the run folder
 * and the command itself, which ended with `code`. */
const char *inject_explain_silence(const char *run_folder, char **command, int code);

#endif
