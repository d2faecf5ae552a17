/* One wait is one row; what follows from it is counted many rows at a time.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

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
    slot->most_rows = layout->recent / 2 < MOST_ROWS ? layout->recent / 2 : MOST_ROWS;
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

/* ---- causes ---- */

static uint64_t *cause_row(const struct rf_slot_writer *slot, uint64_t index)
{
    return slot->causes + (index & slot->cause_mask) * slot->layout->cause_words;
}

static void write_split(uint64_t *row, const struct rf_cause *cause, uint64_t begin_ns,
                        uint64_t end_ns, uint64_t stall_ns)
{
    struct cause_share share;
    cause_of_stall(cause, begin_ns, end_ns, stall_ns, &share);
    for (uint32_t i = 0; i < CAUSE_STATES; i++)
        ds_store(&row[RF_CAUSE_SPLIT_NS + i], share.states_ns[i]);
    ds_store(&row[RF_CAUSE_LATER_READY_NS], share.later_ready_ns);
    ds_store(&row[RF_CAUSE_OTHERS_IDLE_NS], share.others_idle_ns);
    ds_store(&row[RF_CAUSE_WINDOW_FULL_NS], share.window_full_ns);
}

/* Before the row of the wait is there, so that whoever sees that sees this. */
static void write_cause(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    const struct rf_cause *cause = wait->cause;
    const uint64_t end_ns = wait->begin_ns + wait->wait_ns;
    uint64_t *row = cause_row(slot, slot->cause_head);
    const bool known = wait->stall.upper_ns != RF_UNKNOWN;
    const bool pending = !known && cause->stall_is_under_way;
    ds_store(&row[RF_CAUSE_RECORD], slot->head + 1);
    ds_store(&row[RF_CAUSE_FLAGS],
             (pending ? RF_CAUSE_IS_PENDING : 0) | (cause->replayed ? RF_CAUSE_IS_REPLAYED : 0));
    ds_store(&row[RF_CAUSE_REPLAY_NS], cause->replay_ns);
    ds_store(&row[RF_CAUSE_REPLAY_LARGER_NS], cause->replay_larger_ns);
    ds_store(&row[RF_CAUSE_SAMPLER_NS], cause->sampler_ns);
    ds_store(&row[RF_CAUSE_PIN_NS], cause->pin_ns);
    ds_store(&row[RF_CAUSE_GET_CPU_NS], cause->get_cpu_ns);
    ds_store(&row[RF_CAUSE_GET_CPU_BATCHES], cause->get_cpu_batches);
    ds_store(&row[RF_CAUSE_DEPTH], cause->depth);
    ds_store(&row[RF_CAUSE_BLOCKER], cause->blocker);
    ds_store(&row[RF_CAUSE_SERVICE_NS], cause->service_ns);
    if (pending) {
        struct rf_pending_cause *later = &slot->pending[slot->head % RF_PENDING_CAUSES];
        *later = (struct rf_pending_cause){.record = slot->head + 1,
                                           .begin_ns = wait->begin_ns,
                                           .end_ns = end_ns,
                                           .cause_row = slot->cause_head,
                                           .cause = *cause};
    } else {
        write_split(row, cause, wait->begin_ns, end_ns,
                    known ? wait->stall.upper_ns : wait->wait_ns);
    }
    slot->cause_head++;
}

/* ---- a row ---- */

static bool is_composed(const struct rf_wait *wait)
{
    return wait->tokens != RF_UNKNOWN || wait->longest != RF_UNKNOWN ||
           wait->padded != RF_UNKNOWN || wait->mean_length == wait->mean_length ||
           wait->efficiency == wait->efficiency;
}

void rf_slot_append(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    uint64_t *row = slot->ring + (slot->head & slot->ring_mask) * RF_RECORD_WORDS;
    const bool composed = is_composed(wait);
    if (wait->cause != NULL && wait->wait_ns != RF_UNKNOWN)
        write_cause(slot, wait);
    ds_store(&row[RF_RECORD_BEGIN_NS], wait->begin_ns);
    ds_store(&row[RF_RECORD_WAIT_NS], wait->wait_ns);
    ds_store(&row[RF_RECORD_KIND], rf_pack_kind(wait->kind, wait->queue, wait->stage,
                                                (wait->flags & ~RF_RECORD_COMPOSED) |
                                                    (composed ? RF_RECORD_COMPOSED : 0)));
    ds_store(&row[RF_RECORD_BATCH], wait->batch_index);
    ds_store(&row[RF_RECORD_SAMPLES], wait->samples);
    ds_store(&row[RF_RECORD_STALL_LOWER], wait->stall.lower_ns);
    ds_store(&row[RF_RECORD_STALL_UPPER], wait->stall.upper_ns);
    if (composed) {
        ds_store(&row[RF_RECORD_TOKENS], wait->tokens);
        ds_store(&row[RF_RECORD_LONGEST], wait->longest);
        ds_store(&row[RF_RECORD_PADDED], wait->padded);
        ds_store(&row[RF_RECORD_MEAN_LENGTH], bits_of(wait->mean_length));
        ds_store(&row[RF_RECORD_EFFICIENCY], bits_of(wait->efficiency));
    }
    ds_store_release(&row[RF_RECORD_SEQUENCE], ++slot->head);
    slot->batches += wait->kind == DATASTALL_WAIT_STEADY || wait->kind == DATASTALL_WAIT_FIRST;
    const uint64_t rows = slot->head - slot->counted;
    const bool many =
        rows >= FAIR_ROWS &&
        wait->begin_ns + ds_known_or_zero(wait->wait_ns) - slot->counted_at_ns >= A_WHILE_NS;
    if (many || rows >= slot->most_rows ||
        slot->cause_head - slot->counters[RF_COUNT_CAUSES] > slot->cause_mask)
        rf_slot_flush(slot);
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

static void split_late(struct rf_slot_writer *slot, uint64_t index, struct rf_late_stall *late)
{
    struct rf_pending_cause *pending = &slot->pending[index % RF_PENDING_CAUSES];
    uint64_t row[RF_CAUSE_WORDS];
    if (pending->record != index + 1)
        return;
    if (is_counted(slot, index)) {
        write_split(row, &pending->cause, pending->begin_ns, pending->end_ns, late->upper_ns);
        memcpy(late->split, &row[RF_CAUSE_SPLIT_NS], sizeof late->split);
        late->has_split = true;
    } else {
        write_split(cause_row(slot, pending->cause_row), &pending->cause, pending->begin_ns,
                    pending->end_ns, late->upper_ns);
    }
    pending->record = 0;
}

void rf_slot_late_stall(struct rf_slot_writer *slot, uint64_t index,
                        const struct rf_late_stall *late)
{
    struct rf_late_stall own = *late;
    if (own.upper_ns == RF_UNKNOWN || own.wait_ns == RF_UNKNOWN)
        return;
    own.has_split = false;
    split_late(slot, index, &own);
    patch_row(slot, index, &own);
    if (!is_counted(slot, index))
        return; /* it is counted with its row */
    if (slot->late_count == RF_LATE_STALLS)
        rf_slot_flush(slot);
    slot->late[slot->late_count++] = own;
}

/* ---- counting ---- */

static void publish(struct rf_slot_writer *slot)
{
    rf_fold_settle(&slot->fold);
    rf_publish(&slot->commit);
    slot->counted = slot->counters[RF_COUNT_SEQUENCE];
}

void rf_slot_flush(struct rf_slot_writer *slot)
{
    for (uint32_t i = 0; i < slot->late_count; i++) {
        if (!rf_fold_has_room(&slot->fold))
            publish(slot);
        rf_fold_late(&slot->fold, &slot->late[i]);
    }
    slot->late_count = 0;
    for (uint64_t index = slot->counted; index < slot->head; index++) {
        const uint64_t *row = slot->ring + (index & slot->ring_mask) * RF_RECORD_WORDS;
        const uint64_t *cause = NULL;
        if (slot->counters[RF_COUNT_CAUSES] < slot->cause_head)
            cause = cause_row(slot, slot->counters[RF_COUNT_CAUSES]);
        if (!rf_fold_has_room(&slot->fold))
            publish(slot);
        rf_fold_row(&slot->fold, row,
                    cause != NULL && cause[RF_CAUSE_RECORD] == index + 1 ? cause : NULL);
        slot->counted_at_ns = row[RF_RECORD_BEGIN_NS] + ds_known_or_zero(row[RF_RECORD_WAIT_NS]);
    }
    publish(slot);
}

void rf_slot_set_gpu(struct rf_slot_writer *slot, const unsigned char uuid[16])
{
    uint64_t words[2];
    memcpy(words, uuid, sizeof words);
    uint64_t *payload = slot->commit.block + RF_BLOCK_PAYLOAD;
    ds_store(&payload[RF_SLOT_GPU_UUID_0], words[0]);
    ds_store(&payload[RF_SLOT_GPU_UUID_1], words[1]);
}
