/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/capturers.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/hash.h"

#define MOST_FILES 4096u
#define MOST_NAMES (UINT32_C(1) << 18) /* bytes, of what was loaded since the last look */
#define MOST_BYTES (UINT64_C(256) << 20)
#define MOST_TABLE (UINT64_C(4) << 20) /* of section headers, and of their names */
#define CHUNK (UINT32_C(64) << 10)
#define QUESTION_NS \
    50000             /* longer than one takes, but for one that waits for a lock of the driver's */
#define PATIENCE 100u /* of these */

/* Whatever captures through these does so on torch's streams; NVIDIA's do not capture by themselves. */
static const char *const trusted[] = {"libtorch",  "libc10",       "libcuda.so",    "libcudart",
                                      "libcublas", "libcudnn",     "libcufft",      "libcufile",
                                      "libcurand", "libcusolver",  "libcusparse",   "libcupti",
                                      "libnvrtc",  "libnvJitLink", "libnvToolsExt", "libnvidia-",
                                      "libnvperf", "libnvjpeg",    "libnccl",       "libnvshmem",
                                      NULL};

/* Of any thread. */
static uint64_t noted, in_question, bindings_say_so;

static struct {
    unsigned long long adds; /* objects that were ever loaded, as of the last look */
    uint64_t bytes;          /* looked through */
    uint32_t count;
    bool found;
    uint64_t seen[MOST_FILES]; /* hashes of their names */
} looked;

/* ---- a file ---- */

struct needle {
    char text[24];
    size_t length;
};

/* Put together here, so that this file is not one that has it. */
static struct needle put_together(const char *half, const char *other)
{
    struct needle needle = {.length = strlen(half) + strlen(other)};
    memcpy(needle.text, half, strlen(half));
    memcpy(needle.text + strlen(half), other, strlen(other));
    return needle;
}

static bool read_all(int fd, void *to, uint64_t size, uint64_t at)
{
    for (uint64_t done = 0; done < size;) {
        const ssize_t got = pread(fd, (char *)to + done, size - done, (off_t)(at + done));
        if (got <= 0)
            return false;
        done += (uint64_t)got;
    }
    return true;
}

enum answer { NO, YES, UNREADABLE };

static enum answer section_has(int fd, const Elf64_Shdr *section, const char *text, size_t length)
{
    char chunk[CHUNK];
    looked.bytes += section->sh_size;
    if (looked.bytes > MOST_BYTES)
        return UNREADABLE;
    for (uint64_t at = 0; at < section->sh_size; at += CHUNK - (length - 1)) {
        const uint64_t left = section->sh_size - at;
        const uint64_t size = left < CHUNK ? left : CHUNK;
        if (!read_all(fd, chunk, size, section->sh_offset + at))
            return UNREADABLE;
        if (memmem(chunk, size, text, length) != NULL)
            return YES;
        if (size == left)
            break;
    }
    return NO;
}

struct sections {
    Elf64_Shdr *headers;
    char *names;
    uint64_t names_size;
    uint32_t count;
};

static bool read_sections(int fd, struct sections *sections)
{
    Elf64_Ehdr file;
    *sections = (struct sections){0};
    if (!read_all(fd, &file, sizeof file, 0) || memcmp(file.e_ident, ELFMAG, SELFMAG) != 0 ||
        file.e_ident[EI_CLASS] != ELFCLASS64 || file.e_shentsize != sizeof(Elf64_Shdr) ||
        file.e_shnum == 0 || file.e_shstrndx >= file.e_shnum)
        return false;
    sections->count = file.e_shnum;
    sections->headers = malloc(file.e_shnum * sizeof(Elf64_Shdr));
    if (sections->headers == NULL ||
        !read_all(fd, sections->headers, file.e_shnum * sizeof(Elf64_Shdr), file.e_shoff))
        return false;
    const Elf64_Shdr *names = &sections->headers[file.e_shstrndx];
    if (names->sh_size == 0 || names->sh_size > MOST_TABLE)
        return false;
    sections->names_size = names->sh_size;
    sections->names = malloc(names->sh_size);
    return sections->names != NULL &&
           read_all(fd, sections->names, names->sh_size, names->sh_offset) &&
           sections->names[names->sh_size - 1] == '\0';
}

static const char *name_of(const struct sections *sections, uint32_t i)
{
    const uint32_t at = sections->headers[i].sh_name;
    return at < sections->names_size ? sections->names + at : "";
}

static enum answer dynamic_names_have(int fd, const struct sections *sections, const char *text)
{
    for (uint32_t i = 0; i < sections->count; i++) {
        if (strcmp(name_of(sections, i), ".dynstr") == 0)
            return section_has(fd, &sections->headers[i], text, strlen(text));
    }
    return NO;
}

static enum answer constants_have(int fd, const struct sections *sections, const char *text)
{
    enum answer answer = NO;
    for (uint32_t i = 0; i < sections->count && answer == NO; i++) {
        const char *name = name_of(sections, i);
        const bool constant = strncmp(name, ".rodata", 7) == 0 || strncmp(name, ".lrodata", 8) == 0;
        if (constant && sections->headers[i].sh_type == SHT_PROGBITS)
            answer = section_has(fd, &sections->headers[i], text, strlen(text));
    }
    return answer;
}

static enum answer has_by_name(int fd, const struct sections *sections, const char *by,
                               struct needle name)
{
    const enum answer able = dynamic_names_have(fd, sections, by);
    return able == YES ? constants_have(fd, sections, name.text) : able;
}

/* An extension module that takes functions of the bindings by the modules of theirs that are for such; which
 * ones, those of Cython 3.2 have compressed. */
static enum answer calls_bindings(int fd, const struct sections *sections)
{
    if (ds_load(&bindings_say_so) == 0)
        return NO;
    return has_by_name(fd, sections, "PyInit_", put_together("cuda.bindings", ".cy"));
}

static enum answer sections_have(int fd, const struct sections *sections)
{
    const struct needle begins = put_together("StreamBegin", "Capture");
    enum answer answer = dynamic_names_have(fd, sections, begins.text);
    if (answer == NO)
        answer = has_by_name(fd, sections, "dlsym", begins);
    return answer == NO ? calls_bindings(fd, sections) : answer;
}

static enum answer file_has(const char *path)
{
    struct sections sections;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return UNREADABLE;
    const enum answer answer =
        read_sections(fd, &sections) ? sections_have(fd, &sections) : UNREADABLE;
    free(sections.headers);
    free(sections.names);
    close(fd);
    return answer;
}

/* ---- what is loaded ---- */

static pthread_mutex_t in_the_list = PTHREAD_MUTEX_INITIALIZER;

void capturers_before_fork(void)
{
    pthread_mutex_lock(&in_the_list);
}

void capturers_after_fork(void)
{
    pthread_mutex_unlock(&in_the_list);
}

void capturers_in_child(void)
{
    pthread_mutex_init(&in_the_list, NULL);
    ds_store(&in_question, 0);
}

static void go_through(int (*each)(struct dl_phdr_info *, size_t, void *), void *to)
{
    pthread_mutex_lock(&in_the_list);
    dl_iterate_phdr(each, to);
    pthread_mutex_unlock(&in_the_list);
}

static bool is_trusted(const char *path)
{
    if (ds_load(&bindings_say_so) != 0 && strstr(path, "/cuda/bindings/") != NULL)
        return true;
    const char *name = strrchr(path, '/') + 1;
    for (const char *const *known = trusted; *known != NULL; known++) {
        if (strncmp(name, *known, strlen(*known)) == 0)
            return true;
    }
    return false;
}

/* True where it is new. Files whose names have one hash are taken for one: of 4,096 files once in some
 * 10^12 processes. */
static bool note(const char *path)
{
    const uint64_t hash = ds_hash(DS_HASH_OF_NOTHING, path, strlen(path));
    for (uint32_t i = 0; i < looked.count; i++) {
        if (looked.seen[i] == hash)
            return false;
    }
    if (looked.count == MOST_FILES)
        return looked.found = true;
    looked.seen[looked.count++] = hash;
    return true;
}

struct names {
    char *text; /* one after the other, each with its end */
    size_t length;
    unsigned long long adds;
};

static int add_name(struct dl_phdr_info *info, size_t size, void *to)
{
    struct names *names = to;
    const size_t length = strlen(info->dlpi_name) + 1;
    (void)size;
    names->adds = info->dlpi_adds;
    if (names->text == NULL)
        return 1; /* the number alone */
    if (names->length + length > MOST_NAMES) {
        looked.found = true;
        return 1;
    }
    memcpy(names->text + names->length, info->dlpi_name, length);
    names->length += length;
    return 0;
}

static void look_through(const char *name)
{
    const char *path = *name == '\0' ? "/proc/self/exe" : name;
    if (strchr(path, '/') != NULL && note(path) && !is_trusted(path) && file_has(path) != NO)
        looked.found = true;
}

static void look(void)
{
    struct names names = {.text = malloc(MOST_NAMES)};
    if (names.text == NULL)
        return; /* at the next call; until then nothing is asked */
    go_through(add_name, &names);
    for (size_t at = 0; at < names.length && !looked.found; at += strlen(names.text + at) + 1)
        look_through(names.text + at);
    looked.adds = names.adds;
    free(names.text);
}

static unsigned long long loaded_so_far(void)
{
    struct names names = {0};
    go_through(add_name, &names);
    return names.adds;
}

bool capturers_there(void)
{
    if (!looked.found && loaded_so_far() != looked.adds)
        look();
    return looked.found || looked.adds == 0 || ds_load(&noted) != 0;
}

/* ---- what says so itself ---- */

void capturers_trust_bindings(void)
{
    ds_store(&bindings_say_so, 1);
}

/* Each stores first and looks at the other's then, in one order for all: one of the two sees the other. */
void capturers_note(void)
{
    const struct timespec moment = {0, QUESTION_NS};
    __atomic_store_n(&noted, 1, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < PATIENCE && __atomic_load_n(&in_question, __ATOMIC_SEQ_CST) != 0; i++)
        nanosleep(&moment, NULL);
}

bool capturers_question_begins(void)
{
    __atomic_store_n(&in_question, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&noted, __ATOMIC_SEQ_CST) == 0)
        return true;
    capturers_question_ends();
    return false;
}

void capturers_question_ends(void)
{
    ds_store_release(&in_question, 0);
}
