/* SPDX-License-Identifier: Apache-2.0 */
#include "runfile/file_spec.h"

#include <string.h>

#include "runfile/steps.h"
#include "runfile/stretches.h"
#include "runfile/worker_slot.h"

#define SECTION_ALIGN 64u

static struct rf_section *add_section(struct rf_header *header, uint32_t type, uint64_t entry_bytes,
                                      uint64_t entry_count)
{
    struct rf_section *section = &header->sections[header->section_count++];
    section->type = type;
    section->offset = header->file_bytes;
    section->entry_bytes = (entry_bytes + SECTION_ALIGN - 1) / SECTION_ALIGN * SECTION_ALIGN;
    section->entry_count = entry_count;
    header->file_bytes += section->entry_bytes * entry_count;
    return section;
}

static void add_slots(const struct rf_spec *spec, struct rf_header *header)
{
    const uint64_t geometry[RF_GEOMETRY_WORDS] = {
        [RF_GEO_RECENT] = spec->recent_waits,
        [RF_GEO_RECORD_WORDS] = RF_RECORD_WORDS,
        [RF_GEO_CAUSES] = RF_CAUSE_ROWS,
        [RF_GEO_CAUSE_WORDS] = RF_CAUSE_WORDS,
        [RF_GEO_COUNTER_WORDS] = RF_COUNT_WORDS,
        [RF_GEO_HISTOGRAM] = HISTOGRAM_BUCKETS,
        [RF_GEO_STAGES] = RF_STAGE_CAPACITY,
        [RF_GEO_STAGE_WORDS] = RF_STAGE_WORDS,
        [RF_GEO_ROLLUP_SHAPE] =
            RF_ROLLUP_LEVELS | (uint64_t)RF_ROLLUP_BUCKETS << 16 | (uint64_t)RF_ROLLUP_WORDS << 32,
        [RF_GEO_SLOWEST] = RF_SLOWEST,
        [RF_GEO_JOURNAL] = RF_JOURNAL_CAPACITY,
    };
    struct rf_slot_layout layout;
    rf_slot_layout_of(geometry, &layout);
    add_section(header, RF_SECTION_LOADERS, sizeof(struct rf_loader_entry), RF_LOADER_CAPACITY);
    add_section(header, RF_SECTION_STAGES, sizeof(struct rf_stage_entry), RF_STAGE_CAPACITY);
    struct rf_section *slots = add_section(header, RF_SECTION_SLOTS, layout.words * 8, spec->slots);
    memcpy(slots->geometry, geometry, sizeof geometry);
}

static void add_gpus(const struct rf_spec *spec, struct rf_header *header)
{
    const uint64_t geometry[RF_GEOMETRY_WORDS] = {
        [RF_GPU_GEO_RECENT] = spec->gpu_samples != 0 ? spec->gpu_samples : RF_GPU_RECENT,
        [RF_GPU_GEO_SAMPLE_WORDS] = RF_GPU_SAMPLE_WORDS,
        [RF_GPU_GEO_ROLLUP_LEVELS] = RF_ROLLUP_LEVELS,
        [RF_GPU_GEO_ROLLUP_BUCKETS] = RF_ROLLUP_BUCKETS,
        [RF_GPU_GEO_ROLLUP_WORDS] = RF_GPU_ROLLUP_WORDS,
        [RF_GPU_GEO_STAGES] = RF_STAGE_CAPACITY,
        [RF_GPU_GEO_STAGE_WORDS] = RF_GPU_STAGE_WORDS,
        [RF_GPU_GEO_JOURNAL] = RF_JOURNAL_CAPACITY,
    };
    struct rf_gpu_layout layout;
    rf_gpu_layout_of(geometry, &layout);
    struct rf_section *gpus = add_section(header, RF_SECTION_GPUS, layout.words * 8, spec->gpus);
    memcpy(gpus->geometry, geometry, sizeof geometry);
}

static void add_workers(const struct rf_spec *spec, struct rf_header *header)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_worker_layout layout;
    rf_worker_geometry(geometry);
    rf_worker_layout_of(geometry, &layout);
    struct rf_section *workers =
        add_section(header, RF_SECTION_WORKERS, layout.words * 8, spec->workers);
    memcpy(workers->geometry, geometry, sizeof geometry);
}

static void add_stretches(const struct rf_spec *spec, struct rf_header *header)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_stretch_layout layout;
    rf_stretch_geometry(geometry);
    rf_stretch_layout_of(geometry, &layout);
    struct rf_section *stretches =
        add_section(header, RF_SECTION_STRETCHES, layout.words * 8, spec->stretches);
    memcpy(stretches->geometry, geometry, sizeof geometry);
}

static void add_steps(const struct rf_spec *spec, struct rf_header *header)
{
    uint64_t geometry[RF_GEOMETRY_WORDS];
    struct rf_steps_layout layout;
    rf_steps_geometry(geometry);
    rf_steps_layout_of(geometry, &layout);
    struct rf_section *steps = add_section(header, RF_SECTION_STEPS, layout.words * 8, spec->steps);
    memcpy(steps->geometry, geometry, sizeof geometry);
}

void rf_layout_file(const struct rf_spec *spec, struct rf_header *header)
{
    memset(header, 0, sizeof *header);
    header->header_bytes = RF_HEADER_BYTES;
    header->file_bytes = RF_HEADER_BYTES;
    add_section(header, RF_SECTION_PROCESS, RF_PROCESS_BLOCK_WORDS * 8, 1);
    if (spec->slots > 0)
        add_slots(spec, header);
    if (spec->gpus > 0)
        add_gpus(spec, header);
    if (spec->workers > 0)
        add_workers(spec, header);
    if (spec->stretches > 0)
        add_stretches(spec, header);
    if (spec->steps > 0)
        add_steps(spec, header);
}
