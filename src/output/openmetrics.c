/* SPDX-License-Identifier: Apache-2.0 */
#include "output/openmetrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "output/openmetrics_rows.h"

/* ---- what there is to say ---- */

enum type { COUNTER, GAUGE, INFO, HISTOGRAM, SUMMARY };
enum form { NUMBER, SECONDS, MILLI, MICRO };

struct family {
    enum row_kind kind;
    enum type type;
    uint32_t value; /* in the row; histograms: of the first bound */
    enum form form;
    bool extra;       /* with the row's extra label */
    const char *name; /* a counter's without _total */
    const char *unit; /* OpenMetrics: the name ends in it; NULL: none */
    const char *help;
};

/* docs/metrics.md holds the same table for people. */
static const struct family families[] = {
    {ROW_RUN, INFO, 0, NUMBER, false, "datastall_run_info", NULL,
     "A run: its name (--name, else the script's) and machine."},
    {ROW_RUN, GAUGE, RUN_RUNNING, NUMBER, false, "datastall_run_running", NULL,
     "1 while it is running, else 0."},
    {ROW_RUN, GAUGE, RUN_STARTED_REAL_NS, SECONDS, false, "datastall_run_start_time_seconds",
     "seconds", "When the run began, seconds since 1970."},
    {ROW_RUN, GAUGE, RUN_ENDED_REAL_NS, SECONDS, false, "datastall_run_end_time_seconds", "seconds",
     "When the run ended, seconds since 1970."},
    {ROW_RUN, GAUGE, RUN_EXIT_STATUS, NUMBER, false, "datastall_run_exit_status", NULL,
     "The command's exit status, 128 + signal when it was killed."},
    {ROW_RUN, GAUGE, RUN_LAUNCHER_DIED, NUMBER, false, "datastall_run_launcher_died", NULL,
     "1 where datastall run was killed before its command ended: no exit status, and no GPU "
     "samples "
     "from then on."},
    {ROW_RUN, GAUGE, RUN_PROBLEMS, NUMBER, false, "datastall_run_problems", NULL,
     "Things found damaged in the run's files."},
    {ROW_PROCESS, COUNTER, PROCESS_WINDOW_NS, SECONDS, false, "datastall_input_window_seconds",
     "seconds",
     "Time from the first iter() to the end of the last wait: what stalls are a share of."},
    {ROW_PROCESS, COUNTER, PROCESS_LOST, NUMBER, false, "datastall_lost_records", NULL,
     "Waits that could not be recorded."},
    {ROW_PROCESS, COUNTER, PROCESS_MERGED, NUMBER, false, "datastall_merged_records", NULL,
     "Waits, loaders and stages counted under other."},
    {ROW_PROCESS, COUNTER, PROCESS_IMPOSSIBLE_TIMES, NUMBER, false, "datastall_impossible_times",
     NULL, "Impossible wait times that the program reported, counted as unknown."},
    {ROW_PROCESS, COUNTER, PROCESS_IMPOSSIBLE_COUNTS, NUMBER, false, "datastall_impossible_counts",
     NULL, "Impossible figures of batches and loaders that the program reported."},
    {ROW_PROCESS, COUNTER, PROCESS_UNKNOWN_ARGUMENTS, NUMBER, false, "datastall_unknown_arguments",
     NULL, "Kinds, flags and sizes that the program reported and this version does not know."},
    {ROW_PROCESS, COUNTER, PROCESS_STEPS, NUMBER, false, "datastall_steps", NULL,
     "Steps, as datastall show counts them."},
    {ROW_PROCESS, COUNTER, PROCESS_REPLAYS, NUMBER, false, "datastall_step_graph_replays", NULL,
     "Replays of CUDA graphs in steps whose phases do not show."},
    {ROW_PROCESS, GAUGE, PROCESS_ALLOCATED_PEAK, NUMBER, false,
     "datastall_torch_memory_allocated_peak_bytes", "bytes",
     "The most GPU memory that tensors held so far."},
    {ROW_PROCESS, GAUGE, PROCESS_RESERVED_PEAK, NUMBER, false,
     "datastall_torch_memory_reserved_peak_bytes", "bytes",
     "The most GPU memory that torch's allocator held so far."},
    {ROW_PHASE, COUNTER, PHASE_NS, SECONDS, false, "datastall_step_phase_seconds", "seconds",
     "Time of steps in a phase, by the host's clock."},
    {ROW_PHASE, COUNTER, PHASE_TIMES, NUMBER, false, "datastall_step_phases", NULL,
     "How often a phase occurred."},
    {ROW_PHASE, COUNTER, PHASE_ASKED, NUMBER, false, "datastall_step_gpu_questions", NULL,
     "Random moments in a phase at which the GPU was asked whether it has work."},
    {ROW_PHASE, COUNTER, PHASE_EMPTY, NUMBER, false, "datastall_step_gpu_empty_answers", NULL,
     "Of these, the moments at which it had none."},
    {ROW_JOB, COUNTER, JOB_STEPS, NUMBER, false, "datastall_job_steps", NULL,
     "Steps of a job in which this rank was put beside the machine's others."},
    {ROW_JOB, COUNTER, JOB_TIME_NS, SECONDS, false, "datastall_job_steps_seconds", "seconds",
     "Time that these steps took."},
    {ROW_JOB_LOSS, COUNTER, JOB_LOST_NS, SECONDS, false, "datastall_job_lost_seconds", "seconds",
     "What this rank made the machine's ranks lose in them, as the last one, at least."},
    {ROW_JOB_LOSS, COUNTER, JOB_LOST_UPPER_NS, SECONDS, false, "datastall_job_lost_upper_seconds",
     "seconds", "The same at most."},
    {ROW_JOB_LOSS, COUNTER, JOB_LAST, NUMBER, false, "datastall_job_steps_last", NULL,
     "Steps of them in which it was the last one and cost something."},
    {ROW_LOADER, INFO, 0, NUMBER, false, "datastall_loader_info", NULL,
     "A loader: how it was seen, where it was made, its settings."},
    {ROW_LOADER, COUNTER, LOADER_BATCHES, NUMBER, false, "datastall_batches", NULL,
     "Batches that the program got."},
    {ROW_LOADER, COUNTER, LOADER_SAMPLES, NUMBER, false, "datastall_samples", NULL,
     "Samples (sequences, images, rows) in them, where they show any."},
    {ROW_LOADER, COUNTER, LOADER_TOKENS, NUMBER, false, "datastall_tokens", NULL,
     "Tokens without padding in them, where they show any."},
    {ROW_LOADER, COUNTER, LOADER_ITERATORS, NUMBER, false, "datastall_iterators", NULL,
     "Iterators made (epochs)."},
    {ROW_LOADER, COUNTER, LOADER_ERRORS, NUMBER, false, "datastall_input_errors", NULL,
     "Calls of next() that raised an error."},
    {ROW_LOADER, COUNTER, LOADER_WAITING_NS, SECONDS, false, "datastall_input_waiting_seconds",
     "seconds", "Host time in waits of every kind."},
    {ROW_LOADER, COUNTER, LOADER_STALL_NS, SECONDS, true, "datastall_input_stall_seconds",
     "seconds",
     "Input stall. gpu-events: what the GPU felt, by its own clock; host-exact: the program stood "
     "still; host-bound: at most."},
    {ROW_LOADER, COUNTER, LOADER_OTHERS_NS, SECONDS, false,
     "datastall_input_stall_for_others_seconds", "seconds",
     "Input stall that other programs' use of the CPUs explains, in part reckoned, over the run so "
     "far."},
    {ROW_LOADER, COUNTER, LOADER_KNOWN_NS, SECONDS, false, "datastall_input_known_wait_seconds",
     "seconds", "Waiting of which the GPU's clock says how much was a stall."},
    {ROW_LOADER, SUMMARY, LOADER_READY, NUMBER, false, "datastall_prefetch_ready_batches", NULL,
     "Batches that were ready when the program asked for one: sum over the waits, and their "
     "number."},
    {ROW_LOADER, GAUGE, LOADER_POSSIBLE, NUMBER, false, "datastall_prefetch_possible_batches", NULL,
     "Batches that may be under way: prefetch_factor times workers."},
    {ROW_LOADER, GAUGE, LOADER_UNFINISHED_NS, SECONDS, false,
     "datastall_input_unfinished_wait_seconds", "seconds",
     "Age of the wait under way, 0 without one; in no other metric yet."},
    {ROW_LOADER, HISTOGRAM, LOADER_STEADY, SECONDS, false, "datastall_input_wait_seconds",
     "seconds", "Waits for all batches but the first of each epoch."},
    {ROW_LOADER, HISTOGRAM, LOADER_STARTUP, SECONDS, false, "datastall_input_startup_wait_seconds",
     "seconds", "Start-up waits: iter(), the first batch of each epoch, the end of the data."},
    {ROW_STAGE, COUNTER, STAGE_NS, SECONDS, false, "datastall_stage_seconds", "seconds",
     "Time spent in a stage."},
    {ROW_STAGE, COUNTER, STAGE_WAITING_NS, SECONDS, false, "datastall_stage_waiting_seconds",
     "seconds", "Host time in waits that ended in a stage."},
    {ROW_STAGE, COUNTER, STAGE_STALL_NS, SECONDS, false, "datastall_stage_input_stall_seconds",
     "seconds", "What the GPU felt of them, by its own clock."},
    {ROW_STAGE, COUNTER, STAGE_BATCHES, NUMBER, false, "datastall_stage_batches", NULL,
     "Batches of a stage."},
    {ROW_STAGE, COUNTER, STAGE_SAMPLES, NUMBER, false, "datastall_stage_samples", NULL,
     "Samples in them."},
    {ROW_STAGE, COUNTER, STAGE_TOKENS, NUMBER, false, "datastall_stage_tokens", NULL,
     "Tokens in them."},
    {ROW_GPU, INFO, 0, NUMBER, false, "datastall_gpu_info", NULL, "A GPU and its product name."},
    {ROW_GPU, COUNTER, GPU_STALL_NS, SECONDS, false, "datastall_gpu_input_stall_seconds", "seconds",
     "Input stall of the loaders that this GPU consumed, by its own clock."},
    {ROW_GPU, COUNTER, GPU_BUSY_NS, SECONDS, true, "datastall_gpu_busy_seconds", "seconds",
     "Time in which the GPU executed work; gpm: by its own counters, nvml: by utilisation."},
    {ROW_GPU, COUNTER, GPU_IDLE_NS, SECONDS, true, "datastall_gpu_idle_seconds", "seconds",
     "Time in which it executed none."},
    {ROW_GPU, COUNTER, GPU_UNKNOWN_NS, SECONDS, false, "datastall_gpu_unknown_seconds", "seconds",
     "Time for which neither is known."},
    {ROW_GPU, COUNTER, GPU_ENERGY_UJ, MICRO, false, "datastall_gpu_energy_joules", "joules",
     "Power, integrated over the time for which it is known."},
    {ROW_GPU, GAUGE, GPU_UP, NUMBER, false, "datastall_gpu_up", NULL,
     "1 while the driver answers for this GPU, else 0."},
    {ROW_GPU, GAUGE, GPU_LOST, NUMBER, false, "datastall_gpu_lost", NULL,
     "1 once the driver said that this GPU is lost, else 0."},
    {ROW_GPU, COUNTER, GPU_SAMPLES, NUMBER, false, "datastall_gpu_samples", NULL,
     "Samples taken of this GPU."},
    {ROW_GPU, COUNTER, GPU_ERRORS, NUMBER, false, "datastall_gpu_sample_errors", NULL,
     "Samples in which a call of the driver failed."},
    {ROW_GPU, GAUGE, GPU_MEMORY_USED, NUMBER, false, "datastall_gpu_memory_used_bytes", "bytes",
     "Memory in use, of the last sample."},
    {ROW_GPU, GAUGE, GPU_MEMORY_TOTAL, NUMBER, false, "datastall_gpu_memory_total_bytes", "bytes",
     "Memory of this GPU."},
    {ROW_GPU, GAUGE, GPU_POWER_MW, MILLI, false, "datastall_gpu_power_watts", "watts",
     "Power, of the last sample."},
    {ROW_GPU, GAUGE, GPU_TEMPERATURE, NUMBER, false, "datastall_gpu_temperature_celsius", "celsius",
     "Temperature, of the last sample."},
    {ROW_GPU, GAUGE, GPU_SM_CLOCK_HZ, NUMBER, false, "datastall_gpu_sm_clock_hertz", "hertz",
     "Clock of the multiprocessors, of the last sample."},
};
#define FAMILY_COUNT (sizeof families / sizeof *families)

/* ---- text that grows ---- */

struct buffer {
    char *text;
    size_t length, room;
    bool failed;
};

static void put_bytes(struct buffer *b, const char *bytes, size_t count)
{
    if (b->length + count + 1 > b->room && !b->failed) {
        const size_t room = 2 * (b->length + count) + 65536;
        char *more = realloc(b->text, room);
        b->failed = more == NULL;
        if (more != NULL) {
            b->text = more;
            b->room = room;
        }
    }
    if (b->failed)
        return;
    memcpy(b->text + b->length, bytes, count);
    b->length += count;
    b->text[b->length] = '\0';
}

static void put(struct buffer *b, const char *text)
{
    put_bytes(b, text, strlen(text));
}

static void put_number(struct buffer *b, uint64_t value)
{
    char digits[24], *c = digits + sizeof digits;
    do {
        *--c = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put_bytes(b, c, (size_t)(digits + sizeof digits - c));
}

/* value / 10^places, exactly, without trailing zeros. */
static void put_decimal(struct buffer *b, uint64_t value, unsigned places)
{
    char digits[12];
    uint64_t scale = 1;
    for (unsigned i = 0; i < places; i++)
        scale *= 10;
    uint64_t rest = value % scale;
    put_number(b, value / scale);
    if (rest == 0)
        return;
    for (unsigned i = places; i-- > 0; rest /= 10)
        digits[i] = (char)('0' + rest % 10);
    while (digits[places - 1] == '0')
        places--;
    put(b, ".");
    put_bytes(b, digits, places);
}

static void put_value(struct buffer *b, enum form form, uint64_t value)
{
    if (form == NUMBER)
        put_number(b, value);
    else
        put_decimal(b, value, form == MILLI ? 3 : form == MICRO ? 6 : 9);
    put(b, "\n");
}

/* ---- families ---- */

static void put_head(struct buffer *b, const struct family *f, enum openmetrics_format format)
{
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram", "summary"};
    const char *total = f->type == COUNTER && format == OPENMETRICS_PROMETHEUS ? "_total" : "";
    const char *const lines[3][3] = {
        {"# HELP ", " ", f->help}, {"# TYPE ", " ", types[f->type]}, {"# UNIT ", " ", f->unit}};
    for (unsigned i = 0; i < 3; i++) {
        if (lines[i][2] == NULL || (i == 2 && format == OPENMETRICS_PROMETHEUS))
            continue;
        put(b, lines[i][0]);
        put(b, f->name);
        put(b, total);
        put(b, lines[i][1]);
        put(b, lines[i][2]);
        put(b, "\n");
    }
}

static void put_series(struct buffer *b, const struct family *f, const struct row *row,
                       const char *suffix, const char *more)
{
    put(b, f->name);
    put(b, suffix);
    put(b, "{");
    put(b, row->labels);
    if (more != NULL && more[0] != '\0') {
        put(b, ",");
        put(b, more);
    }
    put(b, "} ");
}

/* Always with a point, as OpenMetrics wants it: one name for a series in either format. */
static void bound_label(uint64_t bound_ns, char label[40])
{
    snprintf(label, 40, "le=\"%.4f", (double)bound_ns * 1e-9);
    size_t length = strlen(label);
    while (label[length - 1] == '0' && label[length - 2] != '.')
        length--;
    label[length] = '"';
    label[length + 1] = '\0';
}

static void put_histogram(struct buffer *b, const struct family *f, const struct row *row)
{
    const bool steady = f->value == LOADER_STEADY;
    const uint32_t bounds = steady ? OPENMETRICS_WAIT_BOUNDS : OPENMETRICS_STARTUP_BOUNDS;
    const uint64_t *bound_ns = steady ? openmetrics_wait_bounds : openmetrics_startup_bounds;
    const uint64_t *values = row->values + f->value;
    for (uint32_t i = 0; i < bounds; i++) {
        char label[40];
        bound_label(bound_ns[i], label);
        put_series(b, f, row, "_bucket", label);
        put_value(b, NUMBER, values[i]);
    }
    put_series(b, f, row, "_bucket", "le=\"+Inf\"");
    put_value(b, NUMBER, values[bounds]);
    put_series(b, f, row, "_count", NULL);
    put_value(b, NUMBER, values[bounds]);
    put_series(b, f, row, "_sum", NULL);
    put_value(b, SECONDS, values[bounds + 1]);
}

static bool is_said(const struct family *f, const struct row *row)
{
    return f->type == INFO ? row->info != NULL : row->values[f->value] != DATASTALL_UNKNOWN;
}

static void put_family(struct buffer *b, const struct family *f, const struct rows *rows,
                       enum openmetrics_format format)
{
    bool begun = false;
    for (uint32_t i = 0; i < rows->count[f->kind]; i++) {
        const struct row *row = &rows->rows[f->kind][i];
        if (!is_said(f, row))
            continue;
        if (!begun)
            put_head(b, f, format);
        begun = true;
        if (f->type == HISTOGRAM) {
            put_histogram(b, f, row);
        } else if (f->type == SUMMARY) { /* the sum, and behind it the count */
            put_series(b, f, row, "_sum", NULL);
            put_value(b, f->form, row->values[f->value]);
            put_series(b, f, row, "_count", NULL);
            put_value(b, NUMBER, row->values[f->value + 1]);
        } else if (f->type == INFO) {
            put_series(b, f, row, "", row->info);
            put(b, "1\n");
        } else {
            put_series(b, f, row, f->type == COUNTER ? "_total" : "", f->extra ? row->extra : NULL);
            put_value(b, f->form, row->values[f->value]);
        }
    }
}

/* Series of a loader with a label of their own. */
static void put_causes(struct buffer *b, const struct rows *rows, enum openmetrics_format format)
{
    static const struct family family = {
        ROW_LOADER,      COUNTER,
        LOADER_CAUSE_NS, SECONDS,
        false,           "datastall_input_stall_cause_seconds",
        "seconds",       "Input stall by what the batch was in meanwhile."};
    bool begun = false;
    for (uint32_t i = 0; i < rows->count[ROW_LOADER]; i++) {
        const struct row *row = &rows->rows[ROW_LOADER][i];
        for (uint32_t state = 0; state < CAUSE_STATES; state++) {
            char label[48];
            if (row->values[LOADER_CAUSE_NS + state] == DATASTALL_UNKNOWN)
                continue;
            if (!begun)
                put_head(b, &family, format);
            begun = true;
            snprintf(label, sizeof label, "cause=\"%s\"", why_name(state));
            put_series(b, &family, row, "_total", label);
            put_value(b, SECONDS, row->values[LOADER_CAUSE_NS + state]);
        }
    }
}

/* Three series per run with a label of their own. */
static void put_process_states(struct buffer *b, const struct rows *rows,
                               enum openmetrics_format format)
{
    static const struct family family = {
        ROW_RUN,
        GAUGE,
        RUN_PROCESSES,
        NUMBER,
        false,
        "datastall_run_processes",
        NULL,
        "Recording processes of a run by state; died: gone without closing its file; unknown: in a "
        "PID namespace that cannot be seen, and silent."};
    static const char *const states[SUMMARY_STATES] = {"state=\"running\"", "state=\"ended\"",
                                                       "state=\"died\"", "state=\"unknown\""};
    for (uint32_t i = 0; i < rows->count[ROW_RUN]; i++) {
        if (i == 0)
            put_head(b, &family, format);
        for (uint32_t s = 0; s < SUMMARY_STATES; s++) {
            put_series(b, &family, &rows->rows[ROW_RUN][i], "", states[s]);
            put_value(b, NUMBER, rows->rows[ROW_RUN][i].values[RUN_PROCESSES + s]);
        }
    }
}

static void put_text(struct buffer *b, const struct rows *rows, enum openmetrics_format format)
{
    static const struct family build = {
        ROW_RUN, INFO, 0, NUMBER, false, "datastall_build_info", NULL, "The datastall that reads."};
    put_head(b, &build, format);
    put(b, "datastall_build_info{version=\"");
    put(b, datastall_version());
    put(b, "\"} 1\n");
    for (size_t i = 0; i < FAMILY_COUNT; i++)
        put_family(b, &families[i], rows, format);
    put_causes(b, rows, format);
    put_process_states(b, rows, format);
    if (format == OPENMETRICS_1_0)
        put(b, "# EOF\n");
}

int openmetrics_write(const struct openmetrics_reading *reading, struct openmetrics_memory *memory,
                      enum openmetrics_format format, char **text, size_t *length)
{
    struct rows rows = {.failed = false};
    struct buffer buffer = {.text = NULL};
    rows_collect(&rows, reading->runs, reading->count, reading->jobs, reading->now_ns);
    rows_hold(&rows, memory, reading->now_ns);
    put_text(&buffer, &rows, format);
    const bool failed = rows.failed || buffer.failed;
    rows_free(&rows);
    if (failed) {
        free(buffer.text);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    *text = realloc(buffer.text, buffer.length + 1);
    if (*text == NULL)
        *text = buffer.text;
    *length = buffer.length;
    return DATASTALL_OK;
}

/* ---- which format a client wants ---- */

const char *openmetrics_content_type(enum openmetrics_format format)
{
    return format == OPENMETRICS_1_0 ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                     : "text/plain; version=0.0.4; charset=utf-8";
}

/* The parameter NAME of a media range in [from, to), NULL: not there. */
static const char *parameter(const char *from, const char *to, const char *name)
{
    const size_t length = strlen(name);
    for (const char *c = from; c != NULL && c < to; c = memchr(c, ';', (size_t)(to - c))) {
        c += *c == ';';
        c += strspn(c, " \t");
        if (c + length < to && strncasecmp(c, name, length) == 0 && c[length] == '=')
            return c + length + 1;
    }
    return NULL;
}

/* q as thousandths; without strtod(), which follows the locale. */
static unsigned quality(const char *from, const char *to)
{
    const char *q = parameter(from, to, "q");
    if (q == NULL || *q == '1')
        return 1000;
    unsigned value = 0, scale = 100;
    if (*q != '0' || q[1] != '.')
        return 0;
    for (q += 2; q < to && *q >= '0' && *q <= '9'; q++, scale /= 10)
        value += scale * (unsigned)(*q - '0');
    return value;
}

static bool is_media(const char *range, size_t length, const char *name)
{
    return length == strlen(name) && strncasecmp(range, name, length) == 0;
}

enum openmetrics_format openmetrics_accepted(const char *accept)
{
    unsigned open = 0, plain = 0;
    for (const char *range = accept; range != NULL && *range != '\0';) {
        const char *end = range + strcspn(range, ",");
        range += strspn(range, " \t");
        const size_t length = strcspn(range, ",; \t");
        const char *version = parameter(range + length, end, "version");
        const unsigned q = quality(range + length, end);
        if (is_media(range, length, "application/openmetrics-text")) {
            if ((version == NULL || strncmp(version, "1.0.0", 5) == 0) && q > open)
                open = q;
        } else if (is_media(range, length, "text/plain") || is_media(range, length, "text/*")) {
            plain = q > plain ? q : plain;
        }
        range = *end == ',' ? end + 1 : end;
    }
    return open > 0 && open >= plain ? OPENMETRICS_1_0 : OPENMETRICS_PROMETHEUS;
}
