/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as a run file. Most inputs get a right magic, version and checksum,
 * so that they come past the header's check to what lies behind it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../read_all.h"
#include "../support.h"
#include "runfile/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static char folder[64], path[96];
static int file = -1;

static void remove_folder(void)
{
    test_remove(folder);
}

static void make_file(void)
{
    snprintf(folder, sizeof folder, "%s", "/dev/shm/fuzz-reader-XXXXXX");
    CHECK(mkdtemp(folder) != NULL, "cannot make %s", folder);
    atexit(remove_folder);
    snprintf(path, sizeof path, "%s/1-a.dsrun", folder);
    file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(file >= 0, "cannot make %s", path);
}

static void seal(struct rf_header *header)
{
    memcpy(header->magic, RF_MAGIC, sizeof header->magic);
    header->byte_order = RF_BYTE_ORDER;
    if (header->format_major > RF_FORMAT_MAJOR)
        header->format_major = RF_FORMAT_MAJOR;
    if (header->section_count > RF_MAX_SECTIONS)
        header->section_count %= RF_MAX_SECTIONS + 1;
    header->checksum = rf_checksum(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct rf_header header;
    if (file < 0)
        make_file();
    /* The last byte decides, so that it costs the input nothing: one in eight stays as it is. */
    const bool as_it_is = size > 0 && bytes[size - 1] % 8 == 7;
    CHECK(ftruncate(file, 0) == 0 && pwrite(file, bytes, size, 0) == (ssize_t)size, "write");
    if (!as_it_is && size >= sizeof header) {
        memcpy(&header, bytes, sizeof header);
        seal(&header);
        CHECK(pwrite(file, &header, sizeof header, 0) == (ssize_t)sizeof header, "write");
        /* A short input stands for a file of zeros behind it. */
        if (header.file_bytes > size && header.file_bytes <= 1 << 20)
            CHECK(ftruncate(file, (off_t)header.file_bytes) == 0, "grow");
    }
    read_all_of_file(path, NULL);
    read_all_of_folder(folder, NULL);
    return 0;
}
