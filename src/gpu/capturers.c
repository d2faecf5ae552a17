/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/capturers.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/clock.h"
#include "base/hash.h"

#define MOST_FILES 4096u
#define MOST_NAMES (UINT32_C(1) << 18) /* bytes, of what was loaded since the last look */
#define MOST_BYTES (UINT64_C(256) << 20)
#define MOST_TABLE (UINT64_C(4) << 20) /* of section headers, and of their names */
#define CHUNK (UINT32_C(64) << 10)
/* Longer than a question takes, but for one that waits for a lock of the driver's. */
#define QUESTION_NS 50000
#define PATIENCE_NS DS_NS_PER_S

/* Whatever captures through these does so on torch's streams; NVIDIA's do not capture by themselves. */
static const char *const trusted[] = {"libtorch",  "libc10",       "libcuda.so",    "libcudart",
                                      "libcublas", "libcudnn",     "libcufft",      "libcufile",
                                      "libcurand", "libcusolver",  "libcusparse",   "libcupti",
                                      "libnvrtc",  "libnvJitLink", "libnvToolsExt", "libnvidia-",
                                      "libnvperf", "libnvjpeg",    "libnccl",       "libnvshmem",
                                      NULL};

/* Of any thread. */
static uint64_t noted, in_question, bindings_say_so;
static char bindings_folder[PATH_MAX]; /* once they do */

static struct {
    unsigned long long adds; /* objects that were ever loaded, as of the last look */
    uint64_t bytes;          /* looked through */
    uint32_t count;
    bool found;
    uint64_t seen[MOST_FILES]; /* hashes of their names */
} looked;

/* ---- a file ---- */

struct word {
    char text[24];
    size_t length;
};

#define LONGEST_WORD sizeof(((struct word *)0)->text)

/* Put together here, so that this file is not one that has it. */
static struct word put_together(const char *half, const char *other)
{
    struct word word = {.length = strlen(half) + strlen(other)};
    memcpy(word.text, half, strlen(half));
    memcpy(word.text + strlen(half), other, strlen(other));
    return word;
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

/* Adds bit i to *found where the section has word i. */
static bool look_for(int fd, const Elf64_Shdr *section, const struct word *words, uint32_t count,
                     uint32_t *found)
{
    char chunk[CHUNK];
    looked.bytes += section->sh_size;
    if (looked.bytes > MOST_BYTES)
        return false;
    for (uint64_t at = 0; at < section->sh_size; at += CHUNK - LONGEST_WORD) {
        const uint64_t left = section->sh_size - at;
        const uint64_t size = left < CHUNK ? left : CHUNK;
        if (!read_all(fd, chunk, size, section->sh_offset + at))
            return false;
        for (uint32_t i = 0; i < count; i++)
            *found |= (uint32_t)(memmem(chunk, size, words[i].text, words[i].length) != NULL) << i;
        if (size == left)
            break;
    }
    return true;
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

static bool in_dynamic_names(int fd, const struct sections *sections, const struct word *words,
                             uint32_t count, uint32_t *found)
{
    for (uint32_t i = 0; i < sections->count; i++) {
        if (strcmp(name_of(sections, i), ".dynstr") == 0)
            return look_for(fd, &sections->headers[i], words, count, found);
    }
    return true;
}

static bool in_constants(int fd, const struct sections *sections, const struct word *words,
                         uint32_t count, uint32_t *found)
{
    for (uint32_t i = 0; i < sections->count && *found == 0; i++) {
        const char *name = name_of(sections, i);
        const bool constant = strncmp(name, ".rodata", 7) == 0 || strncmp(name, ".lrodata", 8) == 0;
        if (constant && sections->headers[i].sh_type == SHT_PROGBITS &&
            !look_for(fd, &sections->headers[i], words, count, found))
            return false;
    }
    return true;
}

/* By its symbols; by text, where it looks symbols up by name; where it is an extension module (others than those
 * of the bindings), by the modules of the bindings that are for such. The functions that it takes from there, modules
 * of Cython 3.2 have compressed. */
static enum answer sections_have(int fd, const struct sections *sections, bool of_bindings)
{
    enum { BEGINS = 1, LOOKS_UP = 2, IS_MODULE = 4 };
    const struct word begins = put_together("StreamBegin", "Capture");
    const struct word names[] = {begins, put_together("dl", "sym"), put_together("Py", "Init_")};
    struct word constants[4] = {begins};
    uint32_t found = 0, count = 0, found_constants = 0;
    if (!in_dynamic_names(fd, sections, names, 3, &found))
        return UNREADABLE;
    if ((found & BEGINS) != 0)
        return YES;
    const bool calls = ds_load_acquire(&bindings_say_so) != 0 && (found & IS_MODULE) != 0;
    count += (found & LOOKS_UP) != 0 || calls;
    if (calls && !of_bindings) {
        constants[count++] = put_together("cuda.bindings", ".cy");
        constants[count++] = put_together("cuda.bindings", "._");
        constants[count++] = put_together("cuda.cc", "uda"); /* of before 12.6, and ccudart */
    }
    if (count > 0 && !in_constants(fd, sections, constants, count, &found_constants))
        return UNREADABLE;
    return found_constants != 0 ? YES : NO;
}

static enum answer file_has(const char *path, bool of_bindings)
{
    struct sections sections;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return UNREADABLE;
    const enum answer answer =
        read_sections(fd, &sections) ? sections_have(fd, &sections, of_bindings) : UNREADABLE;
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
    const char *name = strrchr(path, '/') + 1;
    for (const char *const *known = trusted; *known != NULL; known++) {
        if (strncmp(name, *known, strlen(*known)) == 0)
            return true;
    }
    return false;
}

/* What is below the folder of the bindings; NULL: it is not. */
static const char *place_in_bindings(const char *path)
{
    if (ds_load_acquire(&bindings_say_so) == 0)
        return NULL;
    const size_t length = strlen(bindings_folder);
    return strncmp(path, bindings_folder, length) == 0 && path[length] == '/' ? path + length + 1
                                                                              : NULL;
}

/* The files that have what begins a capture, and are called for it by what says so. */
static bool says_so(const char *place)
{
    static const char *const files[] = {"driver.",
                                        "runtime.",
                                        "cydriver.",
                                        "cyruntime.",
                                        "_internal/driver.",
                                        "_internal/runtime",
                                        "_bindings/cydriver.",
                                        "_bindings/cyruntime",
                                        "_lib/cyruntime/cyruntime.",
                                        NULL};
    for (const char *const *known = files; *known != NULL; known++) {
        if (strncmp(place, *known, strlen(*known)) == 0)
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
    if (strchr(path, '/') == NULL || !note(path) || is_trusted(path))
        return;
    const char *place = place_in_bindings(path);
    const bool told = place != NULL && says_so(place);
    if (!told && file_has(path, place != NULL) != NO)
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

void capturers_trust_bindings(const char *folder)
{
    if (ds_load(&bindings_say_so) != 0 || strlen(folder) >= sizeof bindings_folder)
        return;
    strcpy(bindings_folder, folder);
    ds_store_release(&bindings_say_so, 1);
}

/* Each stores first and looks at the other's then, in one order for all: one of the two sees the other. */
void capturers_note(void)
{
    const struct timespec moment = {0, QUESTION_NS};
    const uint64_t until_ns = ds_now_ns() + PATIENCE_NS;
    __atomic_store_n(&noted, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&in_question, __ATOMIC_SEQ_CST) != 0 && ds_now_ns() < until_ns)
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
