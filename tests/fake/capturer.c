/* SPDX-License-Identifier: Apache-2.0 */
/* A library that may capture CUDA graphs by itself, in one of the ways in which such do: by the symbol
 * (BY_SYMBOL), or by looking its name up (BY_NAME), as a statically linked CUDA runtime does. */
#include <dlfcn.h>
#include <stddef.h>

int capturer_is_able(void);

#ifdef BY_SYMBOL
extern int cudaStreamBeginCapture(void *stream, int mode) __attribute__((weak));

int capturer_is_able(void)
{
    return cudaStreamBeginCapture != NULL;
}
#elif defined BY_NAME
int capturer_is_able(void)
{
    return dlsym(RTLD_DEFAULT, "cuStreamBeginCapture_v2") != NULL;
}
#else
/* Neither: looks other names up. */
int capturer_is_able(void)
{
    return dlsym(RTLD_DEFAULT, "cuStreamQuery") != NULL;
}
#endif
