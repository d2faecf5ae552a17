/* SPDX-License-Identifier: Apache-2.0 */
/* A command for kill_anything.py: records batches whose figures follow from their number, in two
 * processes, and announces each when it has ended.
 *
 *     kill_target BOARD BATCHES PAUSE_US CODE
 *
 * BOARD: a file of 64-bit words that outlives a kill: pids, batches that had ended. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datastall.h"

enum { BOARD_PID, BOARD_DONE, BOARD_WORDS_EACH, BOARD_BYTES = 4096 };

static void announce(volatile uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static int record(volatile uint64_t *board, uint64_t batches, useconds_t pause_us)
{
    datastall_monitor *monitor;
    datastall_loader *loader;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    datastall_loader_options named = DATASTALL_LOADER_OPTIONS_INIT;
    options.max_slots = 2;
    options.recent_waits = 64;
    named.name = "target";
    announce(&board[BOARD_PID], (uint64_t)getpid());
    if (datastall_open(&options, &monitor) != 0) {
        fprintf(stderr, "%s\n", datastall_last_error());
        return 1;
    }
    datastall_loader_register(monitor, &named, &loader);
    for (uint64_t i = 0; i < batches; i++) {
        datastall_batch batch = DATASTALL_BATCH_INIT;
        batch.batch_index = i;
        batch.samples = i % 13 + 1;
        batch.tokens = 100 * i + 7;
        datastall_wait_record(loader, datastall_clock_ns(), i % 101 * 1000 + 1,
                              DATASTALL_WAIT_STEADY, &batch);
        announce(&board[BOARD_DONE], i + 1);
        if (pause_us > 0)
            usleep(pause_us);
    }
    datastall_close(monitor);
    return 0;
}

int main(int argc, char **argv)
{
    const int fd = argc == 5 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
    uint64_t *board =
        fd < 0 ? MAP_FAILED : mmap(NULL, BOARD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED)
        return 2;
    const uint64_t batches = strtoull(argv[2], NULL, 10);
    const useconds_t pause_us = (useconds_t)strtoul(argv[3], NULL, 10);
    const pid_t child = fork();
    if (child == 0)
        _exit(record(board + BOARD_WORDS_EACH, batches, pause_us));
    const int failed = record(board, batches, pause_us);
    waitpid(child, NULL, 0);
    return failed != 0 ? failed : atoi(argv[4]);
}
