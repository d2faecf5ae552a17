/* Opens run files of any origin. The file is hostile until each thing read from it was checked. */
#ifndef DATASTALL_RUNFILE_READER_H
#define DATASTALL_RUNFILE_READER_H

#include "runfile/liveness.h"
#include "runfile/view.h"
#include "runfile/worker_slot.h"

struct rf_reader {
    struct rf_header header;
    struct rf_source source;
    uint32_t problems;                     /* things found damaged so far */
    char first_problem[256];               /* one sentence about the first */
    bool has_slots, has_gpus, has_workers; /* their geometry was checked */
    struct rf_slot_layout slot_layout;
    struct rf_gpu_layout gpu_layout;
    struct rf_worker_layout worker_layout;
};

/* Opens a file for reading while its writer may go on. Links are not followed; anything but a
 * regular file is refused. Returns 0 or DATASTALL_ERR_NOT_FOUND, _PERMISSION, _FOREIGN, _NEWER,
 * _DAMAGED, with the sentence in datastall_last_error(). A file that is only partly damaged opens;
 * see `problems`. */
int rf_reader_open(const char *path, struct rf_reader **reader);
void rf_reader_close(struct rf_reader *reader);

/* Counts something found damaged; the sentence about the first one is kept. */
void rf_reader_note(struct rf_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A process block: the words of enum rf_process_word and the static part. */
struct rf_process_view {
    uint64_t words[RF_PROCESS_STATIC];
    struct rf_process_static fixed; /* strings end with NUL */
};
bool rf_reader_process(struct rf_reader *reader, struct rf_process_view *view);

/* True and a copy (strings end with NUL) when entry `index` is there. */
bool rf_reader_loader(struct rf_reader *reader, uint64_t index, struct rf_loader_entry *entry);
bool rf_reader_stage(struct rf_reader *reader, uint64_t index, struct rf_stage_entry *entry);
/* All stages at one go; state 0: not there. Returns how many were read. */
uint32_t rf_reader_stages(struct rf_reader *reader,
                          struct rf_stage_entry entries[RF_STAGE_CAPACITY]);

uint64_t rf_reader_count(const struct rf_reader *reader, uint32_t section_type);

/* As rf_slot_view_read(); damage is also noted in `problems`. */
enum rf_view_status rf_reader_slot(struct rf_reader *reader, uint64_t index, unsigned parts,
                                   struct rf_slot_view *view);

struct rf_gpu_view {
    struct rf_gpu_layout layout;
    uint64_t words[RF_GPU_WORDS];
    struct rf_gpu_static fixed;
    uint64_t *block; /* free() */
};
/* True when the entry was ever attached. */
bool rf_reader_gpu(struct rf_reader *reader, uint64_t index, struct rf_gpu_view *view);

/* What one worker did. */
struct rf_worker_view {
    uint64_t generation, loader, number, pid;
    uint64_t totals[RF_TOTAL_WORDS];
    uint64_t items[RF_WORKER_ITEM_BUCKETS]; /* may be ahead of the totals by a batch */
    uint32_t slowest_count;
    struct rf_worker_item {
        uint64_t ns, index, begin_ns;
    } slowest[RF_WORKER_SLOWEST]; /* longest first */
};
/* True when the entry was ever given to a worker that has recorded something. */
bool rf_reader_worker(struct rf_reader *reader, uint64_t index, struct rf_worker_view *view);

#endif
