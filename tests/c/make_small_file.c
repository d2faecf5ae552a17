/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the small file: make_small_file PATH [gpu]. How tests/c/data/format-1.0.dsrun was made,
 * and what the fuzzer starts from. */
#include <string.h>
#include <unistd.h>

#include "small_file.h"
#include "support.h"

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: make_small_file PATH [gpu]\n");
        return 2;
    }
    unlink(argv[1]);
    small_file_make(argv[1], argc > 2 && strcmp(argv[2], "gpu") == 0);
    return 0;
}
