/* SPDX-License-Identifier: Apache-2.0 */
/* Telling figures to an emitter, in the units of the JSON's keys. Unknown stays unknown. */
#ifndef DATASTALL_OUTPUT_PUT_H
#define DATASTALL_OUTPUT_PUT_H

#include <math.h>

#include "base/emitter.h"
#include "datastall.h"
#include "diagnose/range.h"

typedef const struct emitter *out;

static inline void put_integer(out e, const char *key, uint64_t value)
{
    e->integer(e->context, key, value);
}

static inline void put_real(out e, const char *key, double value)
{
    e->real(e->context, key, value);
}

/* [first, second] */
static inline void put_pair(out e, const char *key, double first, double second)
{
    e->open_array(e->context, key);
    put_real(e, NULL, first);
    put_real(e, NULL, second);
    e->close(e->context);
}

static inline void put_seconds(out e, const char *key, uint64_t ns)
{
    put_real(e, key, ns == DATASTALL_UNKNOWN ? NAN : (double)ns * 1e-9);
}

static inline void put_ms(out e, const char *key, uint64_t ns)
{
    put_real(e, key, ns == DATASTALL_UNKNOWN ? NAN : (double)ns * 1e-6);
}

/* An empty text is none. */
static inline void put_string(out e, const char *key, const char *text)
{
    e->string(e->context, key, text == NULL || text[0] == '\0' ? NULL : text);
}

static inline void put_range(out e, const char *key, const struct range *range)
{
    e->open_object(e->context, key);
    put_real(e, "mean", range->mean);
    put_real(e, "lower", range->lower);
    put_real(e, "upper", range->upper);
    e->close(e->context);
}

#endif
