/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of batches once they are made: by the thread that sends them, beside the one that makes them; or
 * by the loop that made its own. */
#include "base/hot.h"
#include "record/worker.h"

DS_WAIT_END void worker_take_sent(struct worker *worker)
{
    uint64_t *const counted[] = {&worker->pickle_ns, &worker->pickle_cpu_ns, &worker->sent_messages,
                                 &worker->sent_bytes, &worker->sent_tensors};
    static const uint32_t totals[] = {RF_TOTAL_PICKLE_NS, RF_TOTAL_PICKLE_CPU_NS, RF_TOTAL_SENT,
                                      RF_TOTAL_SENT_BYTES, RF_TOTAL_SENT_TENSORS};
    for (uint32_t i = 0; i < sizeof totals / sizeof *totals; i++)
        worker->totals[totals[i]] += __atomic_exchange_n(counted[i], 0, __ATOMIC_RELAXED);
    const uint64_t bytes = __atomic_load_n(&worker->tensor_bytes, __ATOMIC_RELAXED);
    if (bytes > worker->totals[RF_TOTAL_TENSOR_BYTES])
        worker->totals[RF_TOTAL_TENSOR_BYTES] = bytes;
}

void worker_measured(struct worker *worker, uint64_t tensor_bytes)
{
    worker->measure_at = worker->totals[RF_TOTAL_BATCHES] + 64;
    if (tensor_bytes > worker->totals[RF_TOTAL_TENSOR_BYTES])
        worker->totals[RF_TOTAL_TENSOR_BYTES] = tensor_bytes;
}

void worker_pickled(struct worker *worker, const struct worker_message *message)
{
    const uint64_t index = ds_load(&worker->first_sent) + worker->sent;
    /* More messages than batches: somebody else sends as well. */
    if (index >= ds_load_acquire(&worker->entry[RF_WORKER_COUNT]))
        return;
    worker->sent++;
    if (message->lost)
        return;
    __atomic_fetch_add(&worker->pickle_ns, message->wall_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->pickle_cpu_ns, message->cpu_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->pickle_cpu_total_ns, message->cpu_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->sent_messages, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->sent_bytes, message->bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&worker->sent_tensors, message->tensors, __ATOMIC_RELAXED);
    if (message->tensor_bytes > worker->tensor_bytes) /* this thread alone writes it */
        __atomic_store_n(&worker->tensor_bytes, message->tensor_bytes, __ATOMIC_RELAXED);
    uint64_t *record = worker->entry + worker->layout.ring_at +
                       (index & (worker->layout.recent - 1)) * worker->layout.record_words;
    if (ds_load(&record[RF_WORK_SEQUENCE]) == index + 1) {
        ds_store(&record[RF_WORK_PICKLE_CPU_NS], message->cpu_ns);
        ds_store_release(&record[RF_WORK_SEND_DELAY_NS], message->delay_ns);
    }
}
