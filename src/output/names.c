/* SPDX-License-Identifier: Apache-2.0 */
#include "output/names.h"

const char *output_nvml_error(uint64_t code)
{
    switch (code) {
    case 3:
        return "not supported";
    case 4:
        return "no permission";
    case 6:
        return "not found";
    case 9:
        return "the driver is not loaded";
    case 12:
        return "no NVIDIA driver library";
    case 13:
        return "the driver library lacks a needed function";
    case 15:
        return "the GPU is lost (it fell off the bus)";
    case 16:
        return "the GPU needs a reset";
    case 17:
        return "the operating system or a container denies it";
    case 18:
        return "driver and library versions do not match";
    case 999:
        return "unknown driver error";
    default:
        return 0;
    }
}
