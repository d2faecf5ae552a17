#include "runfile/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault_guard.h"

/* ---- making the file ---- */

static void read_boot_id(char *text, size_t size)
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t length = read(fd, text, size - 1);
    close(fd);
    for (ssize_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            text[i] = '\0';
    }
}

static int allocate_file(const char *path, uint64_t bytes, void **map)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ds_fail_errno(errno, "cannot create %s", path);
    int error;
    do {
        error = posix_fallocate(fd, 0, (off_t)bytes);
    } while (error == EINTR);
    if (error == 0) {
        *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        error = *map == MAP_FAILED ? errno : 0;
    }
    close(fd);
    if (error != 0) {
        unlink(path);
        return ds_fail_errno(error, "cannot allocate %llu bytes for %s", (unsigned long long)bytes,
                             path);
    }
    return DATASTALL_OK;
}

static void touch_pages(uint64_t *map, uint64_t bytes)
{
    const uint64_t words_per_page = (uint64_t)sysconf(_SC_PAGESIZE) / 8;
    for (uint64_t i = 0; i < bytes / 8; i += words_per_page)
        ds_store(&map[i], 0);
}

static void write_words(uint64_t *to, const void *from, size_t bytes)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / 8; i++)
        ds_store(&to[i], words[i]);
}

static void write_header(struct rf_writer *writer)
{
    struct rf_header *header = &writer->header;
    header->byte_order = RF_BYTE_ORDER;
    header->format_major = RF_FORMAT_MAJOR;
    header->format_minor = RF_FORMAT_MINOR;
    header->created_mono_ns = ds_now_ns();
    header->created_real_ns = ds_real_ns();
    read_boot_id(header->boot_id, sizeof header->boot_id);
    strncpy(header->writer_version, DATASTALL_VERSION, sizeof header->writer_version - 1);
    memcpy(header->magic, RF_MAGIC, sizeof header->magic);
    header->checksum = rf_checksum(header);
    /* The magic is the first word and is stored last: a file without it is not there yet. */
    const uint64_t *words = (const uint64_t *)header;
    write_words(writer->map + 1, words + 1, sizeof *header - 8);
    ds_store_release(&writer->map[0], words[0]);
}

int rf_writer_create(const char *path, const struct rf_spec *spec,
                     const struct rf_process_static *process, struct rf_writer **result)
{
    *result = NULL;
    struct rf_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    writer->guard = -1;
    rf_layout_file(spec, &writer->header);
    writer->bytes = writer->header.file_bytes;
    void *map = NULL;
    int status = DATASTALL_OK;
    if (path != NULL) {
        writer->path = strdup(path);
        status = writer->path == NULL ? ds_fail(DATASTALL_ERR_MEMORY, "out of memory")
                                      : allocate_file(path, writer->bytes, &map);
    } else {
        map = mmap(NULL, writer->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            status =
                ds_fail_errno(errno, "cannot map %llu bytes", (unsigned long long)writer->bytes);
    }
    if (status != DATASTALL_OK) {
        free(writer->path);
        free(writer);
        return status;
    }
    writer->map = map;
    if (path != NULL) {
        writer->guard = ds_fault_guard(map, writer->bytes, &writer->lost);
        touch_pages(writer->map, writer->bytes);
    }
    for (uint32_t i = 0; i < writer->header.section_count; i++) {
        const struct rf_section *section = &writer->header.sections[i];
        if (section->type == RF_SECTION_SLOTS)
            rf_slot_layout_of(section->geometry, &writer->slot_layout);
        if (section->type == RF_SECTION_GPUS)
            rf_gpu_layout_of(section->geometry, &writer->gpu_layout);
    }
    uint64_t *block = rf_entry(writer, RF_SECTION_PROCESS, 0);
    rf_commit_attach(&writer->process, block);
    write_words(block + RF_BLOCK_PAYLOAD + RF_PROCESS_STATIC, process, sizeof *process);
    write_header(writer);
    *result = writer;
    return DATASTALL_OK;
}

void rf_writer_destroy(struct rf_writer *writer)
{
    if (writer == NULL)
        return;
    ds_fault_unguard(writer->guard);
    munmap(writer->map, writer->bytes);
    free(writer->path);
    free(writer);
}

void rf_writer_mark_closed(struct rf_writer *writer)
{
    rf_stage(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_STATE, RF_STATE_CLOSED);
    rf_stage(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_MONO, ds_now_ns());
    rf_stage(&writer->process, RF_BLOCK_PAYLOAD + RF_PROCESS_ENDED_REAL, ds_real_ns());
    rf_publish(&writer->process);
}

void rf_count_loss(struct rf_writer *writer, uint32_t process_word)
{
    __atomic_fetch_add(&writer->process.block[RF_BLOCK_PAYLOAD + process_word], 1,
                       __ATOMIC_RELAXED);
}

static const struct rf_section *find_section(const struct rf_writer *writer, uint32_t type)
{
    for (uint32_t i = 0; i < writer->header.section_count; i++) {
        if (writer->header.sections[i].type == type)
            return &writer->header.sections[i];
    }
    return NULL;
}

uint64_t *rf_entry(const struct rf_writer *writer, uint32_t section_type, uint64_t index)
{
    const struct rf_section *section = find_section(writer, section_type);
    if (section == NULL || index >= section->entry_count)
        return NULL;
    return writer->map + (section->offset + index * section->entry_bytes) / 8;
}

uint64_t rf_entry_count(const struct rf_writer *writer, uint32_t section_type)
{
    const struct rf_section *section = find_section(writer, section_type);
    return section == NULL ? 0 : section->entry_count;
}

void rf_write_loader(struct rf_writer *writer, uint32_t index, const struct rf_loader_entry *entry)
{
    uint64_t *words = rf_entry(writer, RF_SECTION_LOADERS, index);
    write_words(words + 1, (const char *)entry + 8, sizeof *entry - 8);
    ds_store_release(words, 1);
}

void rf_write_stage(struct rf_writer *writer, uint32_t index, const char *name)
{
    struct rf_stage_entry entry = {.state = 1};
    strncpy(entry.name, name, sizeof entry.name - 1);
    uint64_t *words = rf_entry(writer, RF_SECTION_STAGES, index);
    write_words(words + 1, (const char *)&entry + 8, sizeof entry - 8);
    ds_store_release(words, 1);
}

/* ---- slots ---- */

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
    ds_store_release(&payload[RF_SLOT_USED], 1);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, 8);
    return value;
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
    ds_store(&record[RF_RECORD_STALL_LOWER], RF_UNKNOWN);
    ds_store(&record[RF_RECORD_STALL_UPPER], RF_UNKNOWN);
    ds_store(&record[RF_RECORD_DEPTH], RF_UNKNOWN);
}

static void count_min_max(uint64_t *count, uint64_t wait_ns)
{
    /* count, sum, minimum, maximum follow each other in enum rf_counter_word */
    if (count[0] == 0 || wait_ns < count[2])
        count[2] = wait_ns;
    if (wait_ns > count[3])
        count[3] = wait_ns;
    count[0] += 1;
    count[1] += wait_ns;
}

static void count_composition(uint64_t *c, const struct rf_wait *wait)
{
    c[RF_COUNT_BATCHES]++;
    if (wait->samples != RF_UNKNOWN) {
        c[RF_COUNT_SAMPLES] += wait->samples;
        c[RF_COUNT_SAMPLES_BATCHES]++;
    }
    if (wait->tokens != RF_UNKNOWN) {
        c[RF_COUNT_TOKENS] += wait->tokens;
        c[RF_COUNT_TOKENS_BATCHES]++;
        c[RF_COUNT_TOKENS_SAMPLED] += wait->flags & DATASTALL_BATCH_TOKENS_SAMPLED ? 1 : 0;
        if (wait->padded != RF_UNKNOWN) {
            c[RF_COUNT_PACKED_TOKENS] += wait->tokens;
            c[RF_COUNT_PACKED_PADDED] += wait->padded;
        }
    }
    if (wait->longest != RF_UNKNOWN) {
        c[RF_COUNT_LONGEST_SUM] += wait->longest;
        c[RF_COUNT_LONGEST_BATCHES]++;
        if (wait->longest > c[RF_COUNT_LONGEST_MAX])
            c[RF_COUNT_LONGEST_MAX] = wait->longest;
    }
    if (wait->mean_length == wait->mean_length) {
        c[RF_COUNT_MEAN_LENGTH_SUM] =
            bits_of(double_of(c[RF_COUNT_MEAN_LENGTH_SUM]) + wait->mean_length);
        c[RF_COUNT_MEAN_LENGTH_BATCHES]++;
    }
    if (wait->efficiency == wait->efficiency) {
        if (c[RF_COUNT_EFFICIENCY_BATCHES] == 0 ||
            wait->efficiency < double_of(c[RF_COUNT_EFFICIENCY_MIN]))
            c[RF_COUNT_EFFICIENCY_MIN] = bits_of(wait->efficiency);
        c[RF_COUNT_EFFICIENCY_SUM] =
            bits_of(double_of(c[RF_COUNT_EFFICIENCY_SUM]) + wait->efficiency);
        c[RF_COUNT_EFFICIENCY_BATCHES]++;
        c[RF_COUNT_EFFICIENCY_LOW] += wait->efficiency < 0.80 ? 1 : 0;
    }
}

static bool is_batch(uint32_t kind)
{
    return kind == DATASTALL_WAIT_STEADY || kind == DATASTALL_WAIT_FIRST;
}

static void update_counters(uint64_t *c, const struct rf_wait *wait)
{
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
        c[RF_COUNT_FAILED_NS] += known ? wait->wait_ns : 0;
        break;
    default:
        if (known)
            count_min_max(&c[RF_COUNT_STARTUP], wait->wait_ns);
        c[RF_COUNT_ITERATORS] += wait->kind == DATASTALL_WAIT_ITER;
        break;
    }
    if (is_batch(wait->kind))
        count_composition(c, wait);
}

static void stage_histogram(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    if (wait->wait_ns == RF_UNKNOWN || wait->kind == DATASTALL_WAIT_FAILED)
        return;
    uint64_t table =
        wait->kind == DATASTALL_WAIT_STEADY ? slot->layout->steady_at : slot->layout->startup_at;
    rf_stage_add(&slot->commit, table + histogram_bucket(wait->wait_ns), 1);
}

static uint64_t known_or_zero(uint64_t value)
{
    return value == RF_UNKNOWN ? 0 : value;
}

static void stage_stage_totals(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    if (wait->stage == 0)
        return;
    struct rf_commit *commit = &slot->commit;
    uint64_t at = slot->layout->stages_at + wait->stage * slot->layout->stage_words;
    if (is_batch(wait->kind)) {
        rf_stage_add(commit, at + RF_STAGE_BATCHES, 1);
        rf_stage_add(commit, at + RF_STAGE_SAMPLES, known_or_zero(wait->samples));
        rf_stage_add(commit, at + RF_STAGE_TOKENS, known_or_zero(wait->tokens));
    }
    uint64_t time_word =
        wait->kind == DATASTALL_WAIT_STEADY ? RF_STAGE_STEADY_NS : RF_STAGE_STARTUP_NS;
    rf_stage_add(commit, at + time_word, known_or_zero(wait->wait_ns));
}

static void stage_rollup(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    const struct rf_slot_layout *layout = slot->layout;
    const struct rf_rollup_shape shape = {layout->rollup_at, layout->rollup_levels,
                                          layout->rollup_buckets, layout->rollup_words,
                                          1u << RF_ROLLUP_MAX_NS};
    const bool batch = is_batch(wait->kind);
    const bool steady = wait->kind == DATASTALL_WAIT_STEADY;
    const uint64_t wait_ns = known_or_zero(wait->wait_ns);
    const uint64_t values[RF_ROLLUP_WORDS] = {
        [RF_ROLLUP_BATCHES] = batch,
        [RF_ROLLUP_SAMPLES] = batch ? known_or_zero(wait->samples) : 0,
        [RF_ROLLUP_TOKENS] = batch ? known_or_zero(wait->tokens) : 0,
        [RF_ROLLUP_STEADY_NS] = steady ? wait_ns : 0,
        [RF_ROLLUP_STARTUP_NS] = steady ? 0 : wait_ns,
        [RF_ROLLUP_STARVED] = steady && wait->queue == DATASTALL_QUEUE_STARVED,
        [RF_ROLLUP_MAX_NS] = wait_ns,
    };
    uint64_t number = (wait->begin_ns + wait_ns) / UINT64_C(1000000000) + 1;
    rf_rollup_add(&slot->commit, &shape, &slot->open_second, number, values);
}

static void stage_slowest(struct rf_slot_writer *slot, const struct rf_wait *wait,
                          uint64_t sequence)
{
    const uint32_t set = wait->kind == DATASTALL_WAIT_STEADY ? 0 : 1;
    uint64_t *waits = slot->slow_waits[set];
    uint32_t least = 0;
    for (uint32_t i = 1; i < RF_SLOWEST; i++) {
        if (waits[i] < waits[least])
            least = i;
    }
    if (wait->wait_ns == RF_UNKNOWN || wait->wait_ns <= waits[least])
        return;
    waits[least] = wait->wait_ns;
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

void rf_slot_append(struct rf_slot_writer *slot, const struct rf_wait *wait)
{
    const struct rf_slot_layout *layout = slot->layout;
    uint64_t *counters = slot->counters;
    write_record(slot, wait, counters[RF_COUNT_SEQUENCE]);
    update_counters(counters, wait);
    uint64_t *copy = slot->commit.block + layout->counters_at +
                     (counters[RF_COUNT_SEQUENCE] & (layout->versions - 1)) * layout->counter_words;
    for (uint32_t i = 0; i < RF_COUNT_USED_WORDS; i++)
        ds_store(&copy[i], counters[i]);
    stage_histogram(slot, wait);
    stage_stage_totals(slot, wait);
    stage_rollup(slot, wait);
    stage_slowest(slot, wait, counters[RF_COUNT_SEQUENCE]);
    rf_publish(&slot->commit);
}

/* ---- GPUs ---- */

void rf_gpu_attach(struct rf_writer *writer, uint32_t index, const struct rf_gpu_static *device,
                   struct rf_gpu_writer *gpu)
{
    gpu->layout = &writer->gpu_layout;
    gpu->open_second = 0;
    rf_commit_attach(&gpu->commit, rf_entry(writer, RF_SECTION_GPUS, index));
    write_words(gpu->commit.block + RF_BLOCK_PAYLOAD + RF_GPU_STATIC, device, sizeof *device);
    rf_stage(&gpu->commit, RF_BLOCK_PAYLOAD + RF_GPU_STATE, RF_GPU_STARTING);
    rf_publish(&gpu->commit);
}

void rf_gpu_calling(struct rf_gpu_writer *gpu, uint64_t since_ns)
{
    ds_store(&gpu->commit.block[RF_BLOCK_PAYLOAD + RF_GPU_CALL_NS], since_ns);
}

/* Counts a field that was read: its count, sum and extreme words, those that exist (0: none). */
static void stage_field(struct rf_commit *commit, uint32_t count_word, uint32_t sum_word,
                        uint32_t min_word, uint32_t max_word, uint64_t value)
{
    if (value == RF_UNKNOWN)
        return;
    const uint64_t at = RF_BLOCK_PAYLOAD;
    const uint64_t count = rf_current(commit, at + count_word);
    rf_stage(commit, at + count_word, count + 1);
    rf_stage_add(commit, at + sum_word, value);
    if (min_word != 0 && (count == 0 || value < rf_current(commit, at + min_word)))
        rf_stage(commit, at + min_word, value);
    if (max_word != 0 && (count == 0 || value > rf_current(commit, at + max_word)))
        rf_stage(commit, at + max_word, value);
}

static void stage_gpu_totals(struct rf_commit *commit, const struct rf_gpu_sample *sample)
{
    const uint64_t at = RF_BLOCK_PAYLOAD;
    if (rf_current(commit, at + RF_GPU_SAMPLES) == 0)
        rf_stage(commit, at + RF_GPU_FIRST_NS, sample->time_ns);
    rf_stage_add(commit, at + RF_GPU_SAMPLES, 1);
    rf_stage(commit, at + RF_GPU_LAST_NS, sample->time_ns);
    rf_stage(commit, at + RF_GPU_STATE, sample->state);
    if (sample->error != 0) {
        rf_stage(commit, at + RF_GPU_ERROR, sample->error);
        rf_stage_add(commit, at + RF_GPU_ERRORS, 1);
    }
    stage_field(commit, RF_GPU_BUSY_COUNT, RF_GPU_BUSY_PERCENT_SUM, RF_GPU_BUSY_PERCENT_MIN,
                RF_GPU_BUSY_PERCENT_MAX, sample->busy_percent);
    if (sample->memory_used != RF_UNKNOWN) {
        rf_stage_add(commit, at + RF_GPU_MEMORY_COUNT, 1);
        rf_stage_add(commit, at + RF_GPU_MEMORY_USED_SUM_KIB, sample->memory_used / 1024);
        if (sample->memory_used > rf_current(commit, at + RF_GPU_MEMORY_USED_PEAK))
            rf_stage(commit, at + RF_GPU_MEMORY_USED_PEAK, sample->memory_used);
        rf_stage(commit, at + RF_GPU_MEMORY_TOTAL, sample->memory_total);
    }
    stage_field(commit, RF_GPU_POWER_COUNT, RF_GPU_POWER_MW_SUM, 0, RF_GPU_POWER_MW_MAX,
                sample->power_mw);
    stage_field(commit, RF_GPU_TEMPERATURE_COUNT, RF_GPU_TEMPERATURE_SUM, 0, RF_GPU_TEMPERATURE_MAX,
                sample->temperature);
    stage_field(commit, RF_GPU_SM_CLOCK_COUNT, RF_GPU_SM_CLOCK_MHZ_SUM, RF_GPU_SM_CLOCK_MHZ_MIN, 0,
                sample->sm_clock_mhz);
}

static void stage_gpu_stage_totals(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    if (sample->stage == 0 || sample->stage >= gpu->layout->stages)
        return;
    struct rf_commit *commit = &gpu->commit;
    const uint64_t at = gpu->layout->stages_at + sample->stage * gpu->layout->stage_words;
    rf_stage_add(commit, at + RF_GPU_STAGE_SAMPLES, 1);
    if (sample->busy_percent != RF_UNKNOWN) {
        rf_stage_add(commit, at + RF_GPU_STAGE_BUSY_COUNT, 1);
        rf_stage_add(commit, at + RF_GPU_STAGE_BUSY_PERCENT_SUM, sample->busy_percent);
    }
    if (sample->memory_used != RF_UNKNOWN &&
        sample->memory_used > rf_current(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK))
        rf_stage(commit, at + RF_GPU_STAGE_MEMORY_USED_PEAK, sample->memory_used);
}

void rf_gpu_append(struct rf_gpu_writer *gpu, const struct rf_gpu_sample *sample)
{
    const struct rf_gpu_layout *layout = gpu->layout;
    struct rf_commit *commit = &gpu->commit;
    uint64_t index = rf_current(commit, RF_BLOCK_PAYLOAD + RF_GPU_SAMPLES);
    uint64_t *row =
        commit->block + layout->ring_at + (index & (layout->recent - 1)) * layout->sample_words;
    ds_store(&row[RF_GPU_SAMPLE_SEQUENCE], index + 1);
    ds_store(&row[RF_GPU_SAMPLE_NS], sample->time_ns);
    ds_store(&row[RF_GPU_SAMPLE_BUSY_PERCENT], sample->busy_percent);
    ds_store(&row[RF_GPU_SAMPLE_MEMORY_USED], sample->memory_used);
    ds_store(&row[RF_GPU_SAMPLE_POWER_MW], sample->power_mw);
    ds_store(&row[RF_GPU_SAMPLE_TEMPERATURE], sample->temperature);
    ds_store(&row[RF_GPU_SAMPLE_SM_CLOCK_MHZ], sample->sm_clock_mhz);
    ds_store(&row[RF_GPU_SAMPLE_MEMORY_CLOCK_MHZ], sample->memory_clock_mhz);
    ds_store(&row[RF_GPU_SAMPLE_STAGE], sample->stage);
    stage_gpu_totals(commit, sample);
    stage_gpu_stage_totals(gpu, sample);
    const bool busy_known = sample->busy_percent != RF_UNKNOWN;
    const bool power_known = sample->power_mw != RF_UNKNOWN;
    const uint64_t values[RF_GPU_ROLLUP_WORDS] = {
        [RF_GPU_ROLLUP_SAMPLES] = 1,
        [RF_GPU_ROLLUP_BUSY_COUNT] = busy_known,
        [RF_GPU_ROLLUP_BUSY_PERCENT_SUM] = busy_known ? sample->busy_percent : 0,
        [RF_GPU_ROLLUP_MEMORY_USED_MAX] = known_or_zero(sample->memory_used),
        [RF_GPU_ROLLUP_POWER_COUNT] = power_known,
        [RF_GPU_ROLLUP_POWER_MW_SUM] = power_known ? sample->power_mw : 0,
    };
    const struct rf_rollup_shape shape = {layout->rollup_at, layout->rollup_levels,
                                          layout->rollup_buckets, layout->rollup_words,
                                          1u << RF_GPU_ROLLUP_MEMORY_USED_MAX};
    rf_rollup_add(commit, &shape, &gpu->open_second, sample->time_ns / UINT64_C(1000000000) + 1,
                  values);
    rf_publish(commit);
}
