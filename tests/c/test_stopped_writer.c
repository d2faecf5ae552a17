/* SPDX-License-Identifier: Apache-2.0 */
/* A real writer, stopped after each of its instructions (ptrace): whenever it has changed the file,
 * a reader sees the record as a whole or not at all, equal to what a writer in peace wrote. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "run/reader.h"
#include "runfile/writer.h"
#include "support.h"

#define SECOND UINT64_C(1000000000)
#define RECENT 8
#define BEFORE 30 /* records before the watched ones, so that rings and rollups wrapped */
#define WATCHED 4 /* one of them closes a second, one is a slowest wait */

static const struct rf_spec spec = {.slots = 1, .recent_waits = RECENT};
static const struct rf_process_static process;

struct pen {
    struct rf_writer *writer;
    struct rf_slot_writer slot;
};

static void open_pen(struct pen *pen, const char *path)
{
    CHECK(rf_writer_create(path, &spec, &process, &pen->writer) == 0, "create");
    rf_slot_attach(pen->writer, 0, &pen->slot);
    rf_slot_assign(&pen->slot, 1, 1);
}

static void put(struct pen *pen, uint64_t i)
{
    const datastall_batch batch = {.struct_size = sizeof batch,
                                   .batch_index = i,
                                   .samples = pattern_samples(i),
                                   .tokens = pattern_tokens(i),
                                   .longest_sequence = pattern_longest(i),
                                   .padded_tokens = pattern_samples(i) * pattern_longest(i),
                                   .mean_sequence_length = (double)(i % 4),
                                   .packing_efficiency = NAN};
    struct wait wait = {.batch = &batch,
                        .exposed = STALL_BOUNDS_UNKNOWN,
                        .begin_ns = (1000 + i / 3) * SECOND,
                        .wait_ns = pattern_wait_ns(i),
                        .kind = pattern_kind(i),
                        .stage = 1};
    rf_slot_append(&pen->slot, &wait);
}

/* What the slot is after each number of watched records, from a writer that nobody disturbs. */
static uint64_t *expected[WATCHED + 1];

static void write_expected(void)
{
    struct pen pen;
    open_pen(&pen, NULL);
    for (uint64_t i = 0; i < BEFORE; i++)
        put(&pen, i);
    for (uint64_t i = 0; i <= WATCHED; i++) {
        rf_slot_flush(&pen.slot);
        const uint64_t bytes = pen.writer->slot_layout.words * 8;
        expected[i] = malloc(bytes);
        memcpy(expected[i], pen.slot.commit.block, bytes);
        put(&pen, BEFORE + i);
    }
    rf_writer_destroy(pen.writer);
}

static void check_view(struct run_reader *reader, uint64_t *records)
{
    const struct rf_slot_layout *l = &reader->slot_layout;
    struct rf_slot_view view;
    enum rf_view_status status = run_reader_slot(reader, 0, RF_PART_ALL, &view);
    CHECK(status == RF_VIEW_OK, "%d: %s", status, reader->first_problem);
    CHECK(view.records == *records || view.records == *records + 1, "%llu records after %llu",
          (unsigned long long)view.records, (unsigned long long)*records);
    *records = view.records;
    const uint64_t *whole = expected[view.records - BEFORE];
    CHECK(memcmp(view.block + l->steady_at, whole + l->steady_at, (l->words - l->steady_at) * 8) ==
              0,
          "the tables after %llu records", (unsigned long long)view.records);
    const char *wrong = pattern_check_counters(view.counters, view.records);
    CHECK(wrong == NULL, "the totals after %llu records: %s", (unsigned long long)view.records,
          wrong);
    CHECK(view.ring_count == RECENT - 1 && view.ring_first + view.ring_count == view.records,
          "the ring");
    for (uint64_t i = view.ring_first; i < view.records; i++) {
        wrong = pattern_check_record(rf_view_record(&view, i), i);
        CHECK(wrong == NULL, "record %llu: %s", (unsigned long long)i, wrong);
    }
    rf_slot_view_free(&view);
}

static void write_watched(struct pen *pen)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(SKIPPED);
    raise(SIGSTOP);
    for (uint64_t i = 0; i < WATCHED; i++)
        put(pen, BEFORE + i);
    _exit(0);
}

/* Steps the child to its end; after each step that changed the slot, reads the file. */
static int watch(pid_t child, const struct pen *pen, struct run_reader *reader)
{
    const uint64_t bytes = pen->writer->slot_layout.words * 8;
    uint64_t records = BEFORE, steps = 0, changes = 0;
    uint64_t *last = malloc(bytes);
    int status;
    memcpy(last, pen->slot.commit.block, bytes);
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        if (memcmp(last, pen->slot.commit.block, bytes) != 0) {
            memcpy(last, pen->slot.commit.block, bytes);
            check_view(reader, &records);
            changes++;
        }
        steps++;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            break;
    }
    free(last);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return SKIPPED;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the writer ended with %#x", status);
    CHECK(records == BEFORE + WATCHED, "%llu records at the end", (unsigned long long)records);
    CHECK(changes > 20 * WATCHED, "only %llu changes were seen", (unsigned long long)changes);
    printf("stopped after %llu instructions, %llu of which changed the slot: always whole\n",
           (unsigned long long)steps, (unsigned long long)changes);
    return 0;
}

int main(void)
{
    struct pen pen;
    struct run_reader *reader;
    const char *path = test_path(test_folder(), "watched.dsrun");
    write_expected();
    open_pen(&pen, path);
    for (uint64_t i = 0; i < BEFORE; i++)
        put(&pen, i);
    CHECK(run_reader_open(path, &reader) == 0, "open");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        write_watched(&pen);
    int result = watch(child, &pen, reader);
    if (result == SKIPPED)
        puts("SKIP: ptrace is not permitted here");
    run_reader_close(reader);
    rf_writer_destroy(pen.writer);
    for (int i = 0; i <= WATCHED; i++)
        free(expected[i]);
    return result;
}
