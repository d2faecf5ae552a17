/* SPDX-License-Identifier: Apache-2.0 */
/* Whether something in this process may capture CUDA graphs by itself.
 *
 * Asking the default stream for work spoils a capture of a stream that the default stream waits for
 * ("blocking" streams), if it begins between asking whether anything captures and asking for work: 41 of
 * 300 captures on an H200 beside a thread that asked without a pause. torch's own streams are not of
 * that kind, and whatever captures with torch does so on those. So the GPU is asked only where nothing
 * else can begin a capture: every loaded file is looked through for the names of the two functions that
 * do (as a symbol, or as text where it looks symbols up by name, as each copy of the CUDA runtime that is
 * linked statically does). Not seen: a program that calls the driver itself through ctypes.
 *
 * torch itself loads the bindings of CUDA for Python since 2.13. Those count only once something uses them to
 * begin a capture: from Python, what begins one says so (capturers_note()); an extension module that takes
 * functions of theirs is seen by the names of the modules that are for that, in its constants. Not seen: one that
 * takes them out of __pyx_capi__ by itself.
 */
#ifndef DATASTALL_GPU_CAPTURERS_H
#define DATASTALL_GPU_CAPTURERS_H

#include <stdbool.h>

/* True: something may, or a file could not be looked through; it stays so. Looks at what was loaded
 * since the last call: some ms at the first, well under a microsecond where nothing was. Reads files;
 * holds the loader's lock for as long as it takes to copy their names. Of one thread at a time. */
bool capturers_there(void);

/* From now on a capture that Python begins through cuda.bindings, which lie in this folder, is noted. Of one
 * thread at a time. */
void capturers_trust_bindings(const char *folder);
/* Something is about to capture by itself: nothing is asked from now on, and on return no question is under way
 * (but for one that hangs: a second is waited for it). Of any thread. */
void capturers_note(void);

/* Around each question, of one thread at a time. False: something captures by itself, do not ask. */
bool capturers_question_begins(void);
void capturers_question_ends(void);

/* glibc does not give the lock of the loader's list back in a forked child: one that another thread held
 * at the fork is never free there, and the child's next import hangs. So a fork waits until nobody is in
 * that list for us, a microsecond or less but for the first look's some. Handlers for pthread_atfork(). */
void capturers_before_fork(void);
void capturers_after_fork(void); /* in the parent */
void capturers_in_child(void);

#endif
