/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LONGEST 128u /* who types more than that is not helped by a look at the letters */

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau's edit distance, no part of a word edited twice. Both at most LONGEST long. */
static size_t distance_of(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][LONGEST + 1]; /* rows[i % 3][k]: from the first i letters of a to k of b */
    for (size_t k = 0; k <= b_length; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= b_length; k++) {
            row[k] = least(least(above[k], row[k - 1]) + 1,
                           above[k - 1] + (same(a[i - 1], b[k - 1]) ? 0 : 1));
            if (i > 1 && k > 1 && same(a[i - 1], b[k - 2]) && same(a[i - 2], b[k - 1]))
                row[k] = least(row[k], before[k - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

void nearest_offer(struct nearest *nearest, const char *typed, const char *name)
{
    const size_t have = strlen(nearest->word), length = strlen(typed);
    if (have == 0 || have > LONGEST || length == 0 || length > LONGEST)
        return;
    const size_t longer = have > length ? have : length;
    const size_t distance = distance_of(nearest->word, have, typed, length);
    if (distance > (longer < 3 ? 1 : longer / 3) ||
        (nearest->best != NULL && distance > nearest->distance))
        return;
    nearest->best = name;
    nearest->distance = distance;
}

const char *nearest_hint(const struct nearest *nearest, const char *dashes, char *text, size_t size)
{
    text[0] = '\0';
    if (nearest->best != NULL)
        snprintf(text, size, " (did you mean '%s%s'?)", dashes, nearest->best);
    return text;
}
