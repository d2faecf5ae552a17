/* SPDX-License-Identifier: Apache-2.0 */
/* The process that enters the vendor's library for its host, as the host sees it: `datastall sample`
 * (sampler_child.c), at the other end of a pair of sockets.
 *
 * The host's program must not notice it. It is no child of the host: one in between, which is made
 * without a signal for its end, starts it and is gone at once. So there is no SIGCHLD and nothing
 * that wait() could find; no fork handler runs, and no page is copied. It has none of the host's
 * descriptors, no terminal and a session of its own. It ends when its end of the pair does, with
 * the host's last breath. */
#ifndef DATASTALL_GPU_SAMPLER_PROCESS_H
#define DATASTALL_GPU_SAMPLER_PROCESS_H

#include <limits.h>

#include "gpu/message.h"

#define GPU_SAMPLER_COMMAND "sample" /* of the program; people do not give it */

struct gpu_process {
    int fd;                 /* -1: there is none */
    uint64_t device, inode; /* of the socket: a program may close what is not its own, and a number
                               then means something else */
};

/* Where the program is, for who knows (NULL: nobody does). Copied; any thread. */
void gpu_program_set(const char *path);
/* The program that is to sample for this process: $DATASTALL_PROGRAM, else what was set, else
 * `datastall` on the PATH. False: there is none, or a process of its own would not stay unseen,
 * since the orphans here are this process's (it is number 1 of its container, or a subreaper). */
bool gpu_program_find(char path[PATH_MAX]);

/* The environment without what is meant for the host's program itself (PYTHON*, LD_PRELOAD and the
 * like). One allocation, for free(); NULL: no memory. Call where no other thread changes it. */
char **gpu_environment_copy(void);

/* Starts the program with a plan, whose version and host are filled in. 0 or an errno; a program that is not there or of another release
 * is gone before it says GPU_HELLO. Any thread. */
int gpu_process_start(const char *program, char *const *environment, const struct gpu_plan *plan,
                      struct gpu_process *process);

enum gpu_receipt {
    GPU_RECEIVED,
    GPU_SILENCE, /* nothing in timeout_ms (-1: waits for ever) */
    GPU_GONE     /* the process ended, or gpu_process_hang_up() was called */
};
/* The next message, its values checked as far as they could do harm. */
enum gpu_receipt gpu_process_receive(const struct gpu_process *process, int timeout_ms,
                                     struct gpu_message *message);
/* Never blocks; false: not sent. */
bool gpu_process_send(const struct gpu_process *process, const struct gpu_message *message);
/* Ends both directions, also for a thread that is in gpu_process_receive(). */
void gpu_process_hang_up(const struct gpu_process *process);
void gpu_process_close(struct gpu_process *process);

/* What the program does under its hidden command: samples for who started it, through descriptor 3.
 * Returns its exit code, 2 where nobody did. */
#define GPU_SAMPLER_FD 3
int gpu_sampler_main(const struct gpu_vendor *vendor);

#endif
