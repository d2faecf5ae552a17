/* SPDX-License-Identifier: Apache-2.0 */
/* A library that may capture CUDA graphs by itself, in one of the ways in which such do: by the symbol
 * (BY_SYMBOL), or by looking its name up (BY_NAME), as a statically linked CUDA runtime does; or an extension
 * module of Python that calls the bindings of CUDA (BY_BINDINGS). */
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
#elif defined BY_BINDINGS
void *PyInit_capturer(void);

void *PyInit_capturer(void)
{
    return NULL;
}

int capturer_is_able(void)
{
    return dlopen("cuda.bindings.cydriver", RTLD_LAZY | RTLD_NOLOAD) != NULL;
}
#else
/* Neither: looks other names up. */
int capturer_is_able(void)
{
    return dlsym(RTLD_DEFAULT, "cuStreamQuery") != NULL;
}
#endif
