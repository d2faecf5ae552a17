/* One wait is one row; what follows from it is counted many rows at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/hot.h"
#include "base/unknown.h"
#include "datastall.h"
#include "runfile/writer.h"

/* Rows are counted when there are MOST_ROWS of them, or FAIR_ROWS and the last counting was a while
 * ago: seldom enough that it costs little and that a reader, whom a counting makes begin anew, gets
 * through even where a thread records without a pause. */
#define MOST_ROWS 256u
#define FAIR_ROWS 128u
#define A_WHILE_NS UINT64_C(1000000)

void rf_slot_attach(struct rf_writer *writer, uint32_t index, struct rf_slot_writer *slot)
{
    memset(slot, 0, sizeof *slot);
    const struct rf_slot_layout *layout = &writer->slot_layout;
    slot->layout = layout;
    rf_commit_attach(&slot->commit, rf_entry(writer, RF_SECTION_SLOTS, index));
    rf_fold_start(&slot->fold, &slot->commit, layout, slot->counters, true);
    slot->ring = slot->commit.block + layout->ring_at;
    slot->causes = slot->commit.block + layout->causes_at;
    slot->ring_mask = layout->recent - 1;
    slot->cause_mask = layout->causes - 1;
    slot->cause_words = layout->cause_words;
    slot->most_rows = layout->recent / 2 < MOST_ROWS ? layout->recent / 2 : MOST_ROWS;
    slot->fair_rows = slot->most_rows < FAIR_ROWS ? slot->most_rows : FAIR_ROWS;
    slot->look_at = slot->fair_rows;
}

void rf_slot_assign(struct rf_slot_writer *slot, uint32_t loader, uint64_t thread_id)
{
    uint64_t *payload = slot->commit.block + RF_BLOCK_PAYLOAD;
    const uint64_t before = ds_load(&payload[RF_SLOT_THREAD]);
    const bool is_first = ds_load(&payload[RF_SLOT_USED]) == 0;
    const bool is_main =
        thread_id == (uint64_t)getpid(); /* the main thread's id is the process's */
    ds_store(&payload[RF_SLOT_LOADER], loader);
    ds_store(&payload[RF_SLOT_THREAD], thread_id);
    if (!is_first && before != thread_id)
        ds_store(&payload[RF_SLOT_BACKGROUND], RF_OWNED_BY_SEVERAL);
    else if (!is_main && is_first)
        ds_store(&payload[RF_SLOT_BACKGROUND], RF_OWNED_BY_OTHER);
    ds_store_release(&payload[RF_SLOT_USED], 1);
}

/* ---- causes ---- */

static uint64_t *cause_row(const struct rf_slot_writer *slot, uint64_t index)
{
    return slot->causes + (index & slot->cause_mask) * slot->cause_words;
}

DS_WAIT_END static void write_split(uint64_t *row, const struct cause_share *split)
{
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        ds_store(&row[RF_CAUSE_SPLIT_NS + i], split->states_ns[i]);
    ds_store(&row[RF_CAUSE_LATER_READY_NS], split->later_ready_ns);
    ds_store(&row[RF_CAUSE_OTHERS_IDLE_NS], split->others_idle_ns);
    ds_store(&row[RF_CAUSE_WINDOW_FULL_NS], split->window_full_ns);
}

/* Before the row of the wait is there, so that whoever sees that sees this. */
DS_WAIT_END static void write_cause(struct rf_slot_writer *slot, const struct wait_cause *cause,
                                    const struct cause_share *split)
{
    uint64_t *row = cause_row(slot, slot->cause_head);
    ds_store(&row[RF_CAUSE_RECORD], slot->head + 1);
    ds_store(&row[RF_CAUSE_FLAGS], (split == NULL ? RF_CAUSE_IS_PENDING : 0) |
                                       (cause->replayed ? RF_CAUSE_IS_REPLAYED : 0));
    ds_store(&row[RF_CAUSE_REPLAY_NS], cause->replay_ns);
    ds_store(&row[RF_CAUSE_REPLAY_LARGER_NS], cause->replay_larger_ns);
    ds_store(&row[RF_CAUSE_SAMPLER_NS], cause->sampler_ns);
    ds_store(&row[RF_CAUSE_PIN_NS], cause->pin_ns);
    ds_store(&row[RF_CAUSE_GET_CPU_NS], cause->get_cpu_ns);
    ds_store(&row[RF_CAUSE_GET_CPU_BATCHES], cause->get_cpu_batches);
    ds_store(&row[RF_CAUSE_DEPTH], cause->depth);
    ds_store(&row[RF_CAUSE_BLOCKER], cause->blocker);
    ds_store(&row[RF_CAUSE_SERVICE_NS], cause->service_ns);
    if (split != NULL)
        write_split(row, split);
    /* The next one must not be written over one that is not counted. */
    if (DS_SELDOM(++slot->cause_head - slot->causes_counted > slot->cause_mask))
        slot->look_at = 0;
}

/* ---- a row ---- */

static void write_composition(uint64_t *row, const datastall_batch *batch)
{
    ds_store(&row[RF_RECORD_TOKENS], batch->tokens);
    ds_store(&row[RF_RECORD_LONGEST], batch->longest_sequence);
    ds_store(&row[RF_RECORD_PADDED], wait_padded_tokens(batch));
    ds_store(&row[RF_RECORD_MEAN_LENGTH], ds_bits_of(batch->mean_sequence_length));
    ds_store(&row[RF_RECORD_EFFICIENCY], ds_bits_of(batch->packing_efficiency));
}

/* Counts where it is time to: the rows are many, or the last time was a while ago. */
static __attribute__((noinline)) bool count_in_time(struct rf_slot_writer *slot, uint64_t end_ns)
{
    const bool now = slot->look_at == 0 || slot->head - slot->counted >= slot->most_rows ||
                     end_ns - slot->counted_at_ns >= A_WHILE_NS;
    if (now)
        rf_slot_flush(slot);
    return now;
}

DS_WAIT_END bool rf_slot_append(struct rf_slot_writer *slot, const struct wait *wait)
{
    uint64_t *row = rf_slot_next_row(slot);
    ds_fence_release(); /* who sees any of it sees that the row before is there */
    const datastall_batch *batch = wait->batch;
    const bool composed = wait_is_composed(batch);
    if (wait->cause != NULL && wait->wait_ns != RF_UNKNOWN)
        write_cause(slot, wait->cause, wait->split);
    ds_store(&row[RF_RECORD_BEGIN_NS], wait->begin_ns);
    ds_store(&row[RF_RECORD_WAIT_NS], wait->wait_ns);
    ds_store(&row[RF_RECORD_KIND],
             rf_pack_kind(wait->kind, wait_queue_state(wait->wait_ns), wait->stage,
                          batch->flags | (composed ? RF_RECORD_COMPOSED : 0) |
                              (wait->exposed.carried ? RF_RECORD_CARRIED : 0)));
    ds_store(&row[RF_RECORD_BATCH],
             batch->batch_index != RF_UNKNOWN ? batch->batch_index : slot->batches);
    ds_store(&row[RF_RECORD_SAMPLES], batch->samples);
    ds_store(&row[RF_RECORD_STALL_LOWER], wait->exposed.lower_ns);
    ds_store(&row[RF_RECORD_STALL_UPPER], wait->exposed.upper_ns);
    if (composed)
        write_composition(row, batch);
    const uint64_t head = ++slot->head;
    ds_store_release(&row[RF_RECORD_SEQUENCE], head);
    slot->batches += wait->kind == DATASTALL_WAIT_STEADY || wait->kind == DATASTALL_WAIT_FIRST;
    return DS_SELDOM(head >= slot->look_at) &&
           count_in_time(slot, wait->begin_ns + ds_known_or_zero(wait->wait_ns));
}

/* ---- stalls that become known late ---- */

static bool is_counted(const struct rf_slot_writer *slot, uint64_t index)
{
    return index < slot->counted;
}

static void patch_row(struct rf_slot_writer *slot, uint64_t index, const struct rf_late_stall *late)
{
    uint64_t *row = slot->ring + (index & slot->ring_mask) * RF_RECORD_WORDS;
    if (slot->head - index > slot->ring_mask) /* it, or the next one's place, is another's */
        return;
    ds_store(&row[RF_RECORD_STALL_LOWER], late->lower_ns);
    ds_store_release(&row[RF_RECORD_STALL_UPPER], late->upper_ns);
}

/* The split of a cause that is not counted yet; the newest are looked at first. */
static void patch_cause(struct rf_slot_writer *slot, uint64_t index,
                        const struct cause_share *split)
{
    for (uint64_t i = slot->cause_head; i-- > slot->causes_counted;) {
        uint64_t *row = cause_row(slot, i);
        if (ds_load(&row[RF_CAUSE_RECORD]) == index + 1) {
            write_split(row, split);
            return;
        }
    }
}

void rf_slot_late_stall(struct rf_slot_writer *slot, uint64_t index,
                        const struct rf_late_stall *late)
{
    if (late->upper_ns == RF_UNKNOWN || late->wait_ns == RF_UNKNOWN)
        return;
    if (!is_counted(slot, index) && late->has_split)
        patch_cause(slot, index, &late->split);
    patch_row(slot, index, late);
    if (!is_counted(slot, index))
        return; /* it is counted with its row */
    if (slot->late_count == RF_LATE_STALLS)
        rf_slot_flush(slot);
    slot->late[slot->late_count++] = *late;
}

/* ---- counting ---- */

static void publish(struct rf_slot_writer *slot)
{
    rf_fold_settle(&slot->fold);
    rf_publish(&slot->commit);
    slot->counted = slot->counters[RF_COUNT_SEQUENCE];
    slot->causes_counted = slot->counters[RF_COUNT_CAUSES];
    slot->look_at = slot->counted + slot->fair_rows;
}

__attribute__((noinline)) void rf_slot_flush(struct rf_slot_writer *slot)
{
    for (uint32_t i = 0; i < slot->late_count; i++) {
        if (!rf_fold_has_room(&slot->fold))
            publish(slot);
        rf_fold_late(&slot->fold, &slot->late[i]);
    }
    slot->late_count = 0;
    const struct rf_rows rows = {.rows = slot->ring,
                                 .row_mask = slot->ring_mask,
                                 .row_words = RF_RECORD_WORDS,
                                 .causes = slot->causes,
                                 .cause_mask = slot->cause_mask,
                                 .cause_words = slot->cause_words};
    uint64_t index = slot->counted;
    while ((index = rf_fold_rows(&slot->fold, &rows, index, slot->head)) < slot->head)
        publish(slot);
    publish(slot);
    if (index > 0) {
        const uint64_t *last = slot->ring + ((index - 1) & slot->ring_mask) * RF_RECORD_WORDS;
        slot->counted_at_ns = last[RF_RECORD_BEGIN_NS] + ds_known_or_zero(last[RF_RECORD_WAIT_NS]);
    }
}

void rf_slot_set_gpu(struct rf_slot_writer *slot, const unsigned char uuid[16])
{
    uint64_t words[2];
    memcpy(words, uuid, sizeof words);
    uint64_t *payload = slot->commit.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_SLOT_GPU_UUID_0], words[0]);
    ds_store(&payload[RF_SLOT_GPU_UUID_1], words[1]);
}
