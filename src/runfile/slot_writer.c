/* One record, with everything that follows from it, in one change of its slot. */
#include <string.h>
#include <unistd.h>

#include "base/unknown.h"
#include "datastall.h"
#include "runfile/writer.h"

/* Late stalls that one record takes along: two ring words and three stage words each at most. */
#define LATE_PER_RECORD 4u
_Static_assert((int)RF_ROLLUP_WORDS *(int)RF_ROLLUP_LEVELS + 24 + 5 * (int)LATE_PER_RECORD <=
                   (int)RF_JOURNAL_CAPACITY,
               "a second's end, a record and its late stalls fit the journal");

void rf_slot_attach(struct rf_writer *writer, uint32_t index, struct rf_slot_writer *slot)
{
    memset(slot, 0, sizeof *slot);
    slot->layout = &writer->slot_layout;
    rf_commit_attach(&slot->commit, rf_entry(writer, RF_SECTION_SLOTS, index));
}

void rf_slot_assign(struct rf_slot_writer *slot, uint32_t loader, uint64_t thread_id)
{
    uint64_t *payload = slot->commit.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_SLOT_LOADER], loader);
    ds_store(&payload[RF_SLOT_THREAD], thread_id);
    if (thread_id != (uint64_t)getpid()) /* the main thread's id is the process's */
        ds_store(&payload[RF_SLOT_BACKGROUND], 1);
    ds_store_release(&payload[RF_SLOT_USED], 1);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static void write_record(struct rf_slot_writer *slot, const struct rf_wait *wait, uint64_t index)
{
    const struct rf_slot_layout *layout = slot->layout;
    uint64_t *record = slot->commit.block + layout->ring_at +
                       (index & (layout->recent - 1)) * layout->record_words;
    ds_store(&record[RF_RECORD_SEQUENCE], index + 1);
    ds_store(&record[RF_RECORD_BEGIN_NS], wait->begin_ns);
    ds_store(&record[RF_RECORD_WAIT_NS], wait->wait_ns);
    ds_store(&record[RF_RECORD_KIND],
             rf_pack_kind(wait->kind, wait->queue, wait->stage, wait->flags));
    ds_store(&record[RF_RECORD_BATCH], wait->batch_index);
    ds_store(&record[RF_RECORD_SAMPLES], wait->samples);
    ds_store(&record[RF_RECORD_TOKENS], wait->tokens);
    ds_store(&record[RF_RECORD_LONGEST], wait->longest);
    ds_store(&record[RF_RECORD_PADDED], wait->padded);
    ds_store(&record[RF_RECORD_MEAN_LENGTH], bits_of(wait->mean_length));
    ds_store(&record[RF_RECORD_EFFICIENCY], bits_of(wait->efficiency));
    ds_store(&record[RF_RECORD_STALL_LOWER], wait->stall.lower_ns);
    ds_store(&record[RF_RECORD_STALL_UPPER], wait->stall.upper_ns);
    const struct rf_cause *cause = wait->cause;
    ds_store(&record[RF_RECORD_DEPTH], cause == NULL ? RF_UNKNOWN : cause->depth);
    ds_store(&record[RF_RECORD_BLOCKER], cause == NULL ? 0 : cause->blocker);
    ds_store(&record[RF_RECORD_SERVICE_NS], cause == NULL ? 0 : cause->service_ns);
}

/* ---- counters ---- */

static inline void add(uint64_t *sum, uint64_t value)
{
    *sum = ds_add_saturated(*sum, value);
}

/* ---- causes ---- */

/* The part of the wait [begin, end) that stalled the program is its last stall_ns: the GPU ran dry
 * then, and stayed so. */
static void count_cause(uint64_t *c, const struct rf_cause *cause, uint64_t begin_ns,
                        uint64_t end_ns, uint64_t stall_ns)
{
    const uint64_t from = stall_ns < end_ns - begin_ns ? end_ns - stall_ns : begin_ns;
    cause_split(&cause->timeline, from, end_ns, &c[RF_COUNT_CAUSE_NS]);
    if (cause->later_ready_ns == 0)
        return;
    const uint64_t whole_ns =
        cause_overlap(cause->later_ready_ns, cause->blocker_ns, begin_ns, end_ns);
    const uint64_t part_ns = cause_overlap(cause->later_ready_ns, cause->blocker_ns, from, end_ns);
    c[RF_COUNT_LATER_READY_NS] += part_ns;
    if (whole_ns == 0)
        return;
    uint64_t idle_ns =
        (uint64_t)((double)cause->others_idle_ns * ((double)part_ns / (double)whole_ns));
    if (idle_ns > part_ns)
        idle_ns = part_ns;
    c[RF_COUNT_OTHERS_IDLE_NS] += idle_ns;
    if (cause->window_full)
        c[RF_COUNT_WINDOW_FULL_NS] += idle_ns;
}

static void count_depth(uint64_t *c, uint64_t depth)
{
    if (depth == RF_UNKNOWN)
        return;
    c[RF_COUNT_DEPTH_WAITS]++;
    for (int i = 0; i < 4; i++)
        c[RF_COUNT_DEPTH_READY + i] += depth >> (16 * i) & 0xffff;
    c[RF_COUNT_DEPTH_EMPTY] += (depth & 0xffff) == 0;
}

static void take_cause(struct rf_slot_writer *slot, const struct rf_wait *wait, uint64_t index)
{
    const struct rf_cause *cause = wait->cause;
    uint64_t *c = slot->counters;
    if (wait->wait_ns == RF_UNKNOWN || wait->kind == RF_KIND_NOTE)
        return;
    const uint64_t end_ns = wait->begin_ns + wait->wait_ns;
    if (cause == NULL) {
        if (slot->has_causes)
            add(&c[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN],
                wait->stall.upper_ns == RF_UNKNOWN ? wait->wait_ns : wait->stall.upper_ns);
        return;
    }
    slot->has_causes = true;
    count_depth(c, cause->depth);
    c[RF_COUNT_SAMPLER_NS] += cause->sampler_ns;
    c[RF_COUNT_PIN_NS] += cause->pin_ns;
    c[RF_COUNT_GET_CPU_NS] += cause->get_cpu_ns;
    c[RF_COUNT_GET_CPU_BATCHES] += cause->get_cpu_batches;
    if (cause->replayed) {
        c[RF_COUNT_REPLAYED]++;
        c[RF_COUNT_REPLAYED_NS] += wait->wait_ns;
        c[RF_COUNT_REPLAY_NS] += cause->replay_ns;
        c[RF_COUNT_REPLAY_LARGER_NS] += cause->replay_larger_ns;
    }
    if (wait->stall.upper_ns != RF_UNKNOWN) {
        count_cause(c, cause, wait->begin_ns, end_ns, wait->stall.upper_ns);
    } else if (!cause->stall_is_under_way) {
        count_cause(c, cause, wait->begin_ns, end_ns, wait->wait_ns);
    } else {
        struct rf_pending_cause *pending = &slot->pending[index % RF_PENDING_CAUSES];
        pending->record = index + 1;
        pending->begin_ns = wait->begin_ns;
        pending->end_ns = end_ns;
        pending->cause = *cause;
    }
}

/* What a late stall was spent on; without its cause it stays unknown. */
static void take_late_cause(struct rf_slot_writer *slot, const struct rf_late_stall *late)
{
    struct rf_pending_cause *pending = &slot->pending[late->record % RF_PENDING_CAUSES];
    if (late->stall.upper_ns == RF_UNKNOWN)
        return;
    if (pending->record == late->record + 1)
        count_cause(slot->counters, &pending->cause, pending->begin_ns, pending->end_ns,
                    late->stall.upper_ns);
    else if (slot->has_causes)
        slot->counters[RF_COUNT_CAUSE_NS + CAUSE_UNKNOWN] += late->stall.upper_ns;
    pending->record = 0;
}

static void count_min_max(uint64_t *count, uint64_t wait_ns)
{
    /* count, sum, minimum, maximum follow each other in enum rf_counter_word */
    if (count[0] == 0 || wait_ns < count[2])
        count[2] = wait_ns;
    if (wait_ns > count[3])
        count[3] = wait_ns;
    count[0] += 1;
    add(&count[1], wait_ns);
}

static void count_composition(uint64_t *c, const struct rf_wait *wait)
{
    c[RF_COUNT_BATCHES]++;
    if (wait->samples != RF_UNKNOWN) {
        add(&c[RF_COUNT_SAMPLES], wait->samples);
        c[RF_COUNT_SAMPLES_BATCHES]++;
    }
    if (wait->tokens != RF_UNKNOWN) {
        add(&c[RF_COUNT_TOKENS], wait->tokens);
        c[RF_COUNT_TOKENS_BATCHES]++;
        c[RF_COUNT_TOKENS_SAMPLED] += wait->flags & DATASTALL_BATCH_TOKENS_SAMPLED ? 1 : 0;
        if (wait->padded != RF_UNKNOWN) {
            add(&c[RF_COUNT_PACKED_TOKENS], wait->tokens);
            add(&c[RF_COUNT_PACKED_PADDED], wait->padded);
        }
    }
    if (wait->longest != RF_UNKNOWN) {
        add(&c[RF_COUNT_LONGEST_SUM], wait->longest);
        c[RF_COUNT_LONGEST_BATCHES]++;
        if (wait->longest > c[RF_COUNT_LONGEST_MAX])
            c[RF_COUNT_LONGEST_MAX] = wait->longest;
    }
    if (wait->mean_length == wait->mean_length) {
        c[RF_COUNT_MEAN_LENGTH_SUM] =
            bits_of(ds_double_of(c[RF_COUNT_MEAN_LENGTH_SUM]) + wait->mean_length);
        c[RF_COUNT_MEAN_LENGTH_BATCHES]++;
    }
    if (wait->efficiency == wait->efficiency) {
        if (c[RF_COUNT_EFFICIENCY_BATCHES] == 0 ||
            wait->efficiency < ds_double_of(c[RF_COUNT_EFFICIENCY_MIN]))
            c[RF_COUNT_EFFICIENCY_MIN] = bits_of(wait->efficiency);
        c[RF_COUNT_EFFICIENCY_SUM] =
            bits_of(ds_double_of(c[RF_COUNT_EFFICIENCY_SUM]) + wait->efficiency);
        c[RF_COUNT_EFFICIENCY_BATCHES]++;
        c[RF_COUNT_EFFICIENCY_LOW] += wait->efficiency < 0.80 ? 1 : 0;
    }
}

static bool is_batch(uint32_t kind)
{
    return kind == DATASTALL_WAIT_STEADY || kind == DATASTALL_WAIT_FIRST;
}

static void count_stall(uint64_t *c, uint64_t wait_ns, const struct rf_stall *stall)
{
    if (stall->upper_ns == RF_UNKNOWN || wait_ns == RF_UNKNOWN)
        return;
    c[RF_COUNT_STALL_WAITS]++;
    add(&c[RF_COUNT_STALL_KNOWN_NS], wait_ns);
    add(&c[RF_COUNT_STALL_LOWER_NS], stall->lower_ns);
    add(&c[RF_COUNT_STALL_UPPER_NS], stall->upper_ns);
    c[RF_COUNT_STALL_BOUNDS] += stall->lower_ns != stall->upper_ns;
}

static void update_counters(uint64_t *c, const struct rf_wait *wait)
{
    if (wait->kind == RF_KIND_NOTE) {
        c[RF_COUNT_SEQUENCE]++;
        return;
    }
    const bool known = wait->wait_ns != RF_UNKNOWN;
    const uint64_t end_ns = wait->begin_ns + (known ? wait->wait_ns : 0);
    if (c[RF_COUNT_SEQUENCE] == 0 || wait->begin_ns < c[RF_COUNT_BEGIN_NS])
        c[RF_COUNT_BEGIN_NS] = wait->begin_ns;
    if (end_ns > c[RF_COUNT_END_NS])
        c[RF_COUNT_END_NS] = end_ns;
    c[RF_COUNT_SEQUENCE]++;
    switch (wait->kind) {
    case DATASTALL_WAIT_STEADY:
        if (known)
            count_min_max(&c[RF_COUNT_STEADY], wait->wait_ns);
        c[RF_COUNT_QUEUE + wait->queue]++;
        break;
    case DATASTALL_WAIT_FAILED:
        c[RF_COUNT_FAILED]++;
        add(&c[RF_COUNT_FAILED_NS], known ? wait->wait_ns : 0);
        break;
    default:
        if (known)
            count_min_max(&c[RF_COUNT_STARTUP], wait->wait_ns);
        c[RF_COUNT_ITERATORS] += wait->kind == DATASTALL_WAIT_ITER;
        break;
    }
    count_stall(c, wait->wait_ns, &wait->stall);
    if (is_batch(wait->kind))
        count_composition(c, wait);
}

static void stage_histogram(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    if (wait->wait_ns == RF_UNKNOWN || wait->kind >= DATASTALL_WAIT_FAILED)
        return;
    uint64_t table =
        wait->kind == DATASTALL_WAIT_STEADY ? slot->layout->steady_at : slot->layout->startup_at;
    rf_stage_add(&slot->commit, table + histogram_bucket(wait->wait_ns), 1);
}

/* Waiting time whose stall is known, and what of it was exposed. */
struct stall_sums {
    uint64_t known_ns, lower_ns, upper_ns;
};

static struct stall_sums sums_of(uint64_t wait_ns, const struct rf_stall *stall)
{
    if (stall->upper_ns == RF_UNKNOWN || wait_ns == RF_UNKNOWN)
        return (struct stall_sums){0, 0, 0};
    return (struct stall_sums){wait_ns, stall->lower_ns, stall->upper_ns};
}

/* The stalls of the late ones that go with this record, by stage: a stage's words are staged once.
 */
struct late_batch {
    struct stall_sums all; /* the record's own stall included */
    struct {
        uint32_t stage;
        struct stall_sums sums;
    } stages[LATE_PER_RECORD + 1];
    uint32_t stage_count;
};

static void add_sums(struct stall_sums *to, const struct stall_sums *from)
{
    add(&to->known_ns, from->known_ns);
    add(&to->lower_ns, from->lower_ns);
    add(&to->upper_ns, from->upper_ns);
}

static void add_stage_sums(struct late_batch *batch, uint32_t stage, const struct stall_sums *sums)
{
    uint32_t i = 0;
    while (i < batch->stage_count && batch->stages[i].stage != stage)
        i++;
    if (i == batch->stage_count) {
        batch->stages[i].stage = stage;
        batch->stages[i].sums = (struct stall_sums){0, 0, 0};
        batch->stage_count++;
    }
    add_sums(&batch->stages[i].sums, sums);
}

/* Takes up to LATE_PER_RECORD late stalls: counters now, ring rows in the journal, sums for later.
 */
static void take_late(struct rf_slot_writer *slot, struct late_batch *batch)
{
    const struct rf_slot_layout *layout = slot->layout;
    const uint64_t next = slot->counters[RF_COUNT_SEQUENCE];
    const uint32_t count = slot->late_count < LATE_PER_RECORD ? slot->late_count : LATE_PER_RECORD;
    for (uint32_t i = 0; i < count; i++) {
        const struct rf_late_stall *late = &slot->late[i];
        const struct stall_sums sums = sums_of(late->wait_ns, &late->stall);
        count_stall(slot->counters, late->wait_ns, &late->stall);
        take_late_cause(slot, late);
        add_sums(&batch->all, &sums);
        if (late->stage != 0)
            add_stage_sums(batch, late->stage, &sums);
        /* The row is still the record's unless the one being written, or a later one, took it. */
        if (late->record < next && next - late->record < layout->recent) {
            uint64_t row =
                layout->ring_at + (late->record & (layout->recent - 1)) * layout->record_words;
            rf_stage(&slot->commit, row + RF_RECORD_STALL_LOWER, late->stall.lower_ns);
            rf_stage(&slot->commit, row + RF_RECORD_STALL_UPPER, late->stall.upper_ns);
        }
    }
    slot->late_count -= count;
    memmove(slot->late, slot->late + count, slot->late_count * sizeof *slot->late);
}

static void stage_stage_stalls(struct rf_slot_writer *slot, const struct late_batch *batch)
{
    for (uint32_t i = 0; i < batch->stage_count; i++) {
        const struct stall_sums *sums = &batch->stages[i].sums;
        uint64_t at = slot->layout->stages_at + batch->stages[i].stage * slot->layout->stage_words;
        rf_stage_add(&slot->commit, at + RF_STAGE_STALL_KNOWN_NS, sums->known_ns);
        rf_stage_add(&slot->commit, at + RF_STAGE_STALL_LOWER_NS, sums->lower_ns);
        rf_stage_add(&slot->commit, at + RF_STAGE_STALL_UPPER_NS, sums->upper_ns);
    }
}

static void stage_stage_totals(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    if (wait->stage == 0 || wait->kind == RF_KIND_NOTE)
        return;
    struct rf_commit *commit = &slot->commit;
    uint64_t at = slot->layout->stages_at + wait->stage * slot->layout->stage_words;
    if (is_batch(wait->kind)) {
        rf_stage_add(commit, at + RF_STAGE_BATCHES, 1);
        rf_stage_add(commit, at + RF_STAGE_SAMPLES, ds_known_or_zero(wait->samples));
        rf_stage_add(commit, at + RF_STAGE_TOKENS, ds_known_or_zero(wait->tokens));
        rf_stage_add(commit, at + RF_STAGE_SAMPLES_BATCHES, wait->samples != RF_UNKNOWN);
        rf_stage_add(commit, at + RF_STAGE_TOKENS_BATCHES, wait->tokens != RF_UNKNOWN);
    }
    uint64_t time_word =
        wait->kind == DATASTALL_WAIT_STEADY ? RF_STAGE_STEADY_NS : RF_STAGE_STARTUP_NS;
    rf_stage_add(commit, at + time_word, ds_known_or_zero(wait->wait_ns));
}

static void stage_rollup(struct rf_slot_writer *slot, const struct rf_wait *wait,
                         const struct stall_sums *stalls)
{
    const struct rf_slot_layout *layout = slot->layout;
    const struct rf_rollup_shape shape = {layout->rollup_at, layout->rollup_levels,
                                          layout->rollup_buckets, layout->rollup_words,
                                          1u << RF_ROLLUP_MAX_NS};
    const bool batch = is_batch(wait->kind);
    const bool steady = wait->kind == DATASTALL_WAIT_STEADY;
    const uint64_t wait_ns = ds_known_or_zero(wait->wait_ns);
    const uint64_t values[RF_ROLLUP_WORDS] = {
        [RF_ROLLUP_BATCHES] = batch,
        [RF_ROLLUP_SAMPLES] = batch ? ds_known_or_zero(wait->samples) : 0,
        [RF_ROLLUP_TOKENS] = batch ? ds_known_or_zero(wait->tokens) : 0,
        [RF_ROLLUP_STEADY_NS] = steady ? wait_ns : 0,
        [RF_ROLLUP_STARTUP_NS] = steady ? 0 : wait_ns,
        [RF_ROLLUP_STARVED] = steady && wait->queue == DATASTALL_QUEUE_STARVED,
        [RF_ROLLUP_MAX_NS] = wait_ns,
        [RF_ROLLUP_STALL_KNOWN_NS] = stalls->known_ns,
        [RF_ROLLUP_STALL_UPPER_NS] = stalls->upper_ns,
    };
    uint64_t number = (wait->begin_ns + wait_ns) / UINT64_C(1000000000) + 1;
    rf_rollup_add(&slot->commit, &shape, &slot->open_second, number, values);
}

static void stage_slowest(struct rf_slot_writer *slot, const struct rf_wait *wait,
                          uint64_t sequence)
{
    const uint32_t set = wait->kind == DATASTALL_WAIT_STEADY ? 0 : 1;
    const uint32_t least = slot->slow_least[set];
    uint64_t *waits = slot->slow_waits[set];
    if (wait->wait_ns == RF_UNKNOWN || wait->kind == RF_KIND_NOTE || wait->wait_ns <= waits[least])
        return;
    waits[least] = wait->wait_ns;
    for (uint32_t i = 0; i < RF_SLOWEST; i++) {
        if (waits[i] < waits[slot->slow_least[set]])
            slot->slow_least[set] = i;
    }
    uint64_t at = slot->layout->slow_at + (set * slot->layout->slowest + least) * RF_SLOW_WORDS;
    struct rf_commit *commit = &slot->commit;
    rf_stage(commit, at + RF_SLOW_WAIT_NS, wait->wait_ns);
    rf_stage(commit, at + RF_SLOW_BEGIN_NS, wait->begin_ns);
    rf_stage(commit, at + RF_SLOW_KIND,
             rf_pack_kind(wait->kind, wait->queue, wait->stage, wait->flags));
    rf_stage(commit, at + RF_SLOW_BATCH, wait->batch_index);
    rf_stage(commit, at + RF_SLOW_SAMPLES, wait->samples);
    rf_stage(commit, at + RF_SLOW_TOKENS, wait->tokens);
    rf_stage(commit, at + RF_SLOW_RECORD, sequence);
}

/* Some forty words with every record: eight a turn. */
static void store_words(uint64_t *to, const uint64_t *from, uint32_t count)
{
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        ds_store(&to[i], from[i]);
        ds_store(&to[i + 1], from[i + 1]);
        ds_store(&to[i + 2], from[i + 2]);
        ds_store(&to[i + 3], from[i + 3]);
        ds_store(&to[i + 4], from[i + 4]);
        ds_store(&to[i + 5], from[i + 5]);
        ds_store(&to[i + 6], from[i + 6]);
        ds_store(&to[i + 7], from[i + 7]);
    }
    for (; i < count; i++)
        ds_store(&to[i], from[i]);
}

void rf_slot_append(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    const struct rf_slot_layout *layout = slot->layout;
    uint64_t *counters = slot->counters;
    struct late_batch stalls;
    stalls.stage_count = 0;
    stalls.all = sums_of(wait->wait_ns, &wait->stall);
    if (wait->stage != 0 && stalls.all.known_ns > 0)
        add_stage_sums(&stalls, wait->stage, &stalls.all);
    if (slot->late_count > 0)
        take_late(slot, &stalls);
    write_record(slot, wait, counters[RF_COUNT_SEQUENCE]);
    take_cause(slot, wait, counters[RF_COUNT_SEQUENCE]);
    update_counters(counters, wait);
    uint64_t *copy = slot->commit.block + layout->counters_at +
                     (counters[RF_COUNT_SEQUENCE] & (layout->versions - 1)) * layout->counter_words;
    /* What nobody ever counted is zero in every copy. */
    store_words(copy, counters, slot->has_causes ? RF_COUNT_USED_WORDS : RF_COUNT_LEAST_WORDS);
    stage_histogram(slot, wait);
    stage_stage_totals(slot, wait);
    stage_stage_stalls(slot, &stalls);
    stage_rollup(slot, wait, &stalls.all);
    stage_slowest(slot, wait, counters[RF_COUNT_SEQUENCE]);
    rf_publish(&slot->commit);
}

bool rf_slot_late_stall(struct rf_slot_writer *slot, const struct rf_late_stall *late)
{
    if (slot->late_count == RF_LATE_STALLS)
        return false;
    slot->late[slot->late_count++] = *late;
    return true;
}

void rf_slot_flush(struct rf_slot_writer *slot, uint64_t now_ns)
{
    const struct rf_wait note = {.begin_ns = now_ns,
                                 .kind = RF_KIND_NOTE,
                                 .batch_index = RF_UNKNOWN,
                                 .samples = RF_UNKNOWN,
                                 .tokens = RF_UNKNOWN,
                                 .longest = RF_UNKNOWN,
                                 .padded = RF_UNKNOWN,
                                 .mean_length = ds_double_of(RF_UNKNOWN),
                                 .efficiency = ds_double_of(RF_UNKNOWN),
                                 .stall = {RF_UNKNOWN, RF_UNKNOWN}};
    while (slot->late_count > 0)
        rf_slot_append(slot, &note);
}

void rf_slot_set_gpu(struct rf_slot_writer *slot, const unsigned char uuid[16])
{
    uint64_t words[2];
    memcpy(words, uuid, sizeof words);
    uint64_t *payload = slot->commit.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_SLOT_GPU_UUID_0], words[0]);
    ds_store(&payload[RF_SLOT_GPU_UUID_1], words[1]);
}
