/* SPDX-License-Identifier: Apache-2.0 */
#include "output/trim.h"

#include <stdio.h>
#include <string.h>

#include "base/clean_text.h"

static uint32_t most_of(const struct trim *trim, const char *key)
{
    for (const struct trim_rule *rule = trim->rules; key != NULL && rule->key != NULL; rule++) {
        if (strcmp(rule->key, key) == 0)
            return rule->most;
    }
    return UINT32_MAX;
}

/* Whether something of this key has its place, which it then takes. */
static bool takes(struct trim *trim, const char *key)
{
    if (trim->skipped > 0 || most_of(trim, key) == 0)
        return false;
    if (trim->depth == 0 || !trim->is_array[trim->depth - 1])
        return true;
    if (trim->left[trim->depth - 1] == 0)
        return false;
    trim->left[trim->depth - 1]--;
    return true;
}

static bool opens(struct trim *trim, const char *key, bool is_array)
{
    if (!takes(trim, key) || trim->depth == TRIM_DEPTH) {
        trim->skipped++;
        return false;
    }
    trim->is_array[trim->depth] = is_array;
    trim->left[trim->depth++] = most_of(trim, key);
    return true;
}

static void open_object(void *context, const char *key)
{
    struct trim *trim = context;
    if (opens(trim, key, false))
        trim->to->open_object(trim->to->context, key);
}

static void open_array(void *context, const char *key)
{
    struct trim *trim = context;
    if (opens(trim, key, true))
        trim->to->open_array(trim->to->context, key);
}

static void close_container(void *context)
{
    struct trim *trim = context;
    if (trim->skipped > 0) {
        trim->skipped--;
        return;
    }
    trim->depth--;
    trim->to->close(trim->to->context);
}

static void integer(void *context, const char *key, uint64_t value)
{
    struct trim *trim = context;
    if (takes(trim, key))
        trim->to->integer(trim->to->context, key, value);
}

static void real(void *context, const char *key, double value)
{
    struct trim *trim = context;
    if (takes(trim, key))
        trim->to->real(trim->to->context, key, value);
}

static void boolean(void *context, const char *key, bool value)
{
    struct trim *trim = context;
    if (takes(trim, key))
        trim->to->boolean(trim->to->context, key, value);
}

/* Whole characters of it. */
static const char *cut(const char *value, char text[TRIM_TEXT + 4])
{
    size_t length = 0;
    if (strlen(value) <= TRIM_TEXT)
        return value;
    while (length < TRIM_TEXT) {
        uint32_t character;
        const size_t bytes = ds_utf8_character(value + length, &character);
        const size_t step = bytes == 0 ? 1 : bytes;
        if (length + step > TRIM_TEXT)
            break;
        length += step;
    }
    snprintf(text, TRIM_TEXT + 4, "%.*s...", (int)length, value);
    return text;
}

static void string(void *context, const char *key, const char *value)
{
    struct trim *trim = context;
    char text[TRIM_TEXT + 4];
    if (takes(trim, key))
        trim->to->string(trim->to->context, key, value == NULL ? NULL : cut(value, text));
}

struct emitter trim_emitter(struct trim *trim, const struct emitter *to,
                            const struct trim_rule *rules)
{
    *trim = (struct trim){.to = to, .rules = rules};
    return (struct emitter){trim,    open_object, open_array, close_container,
                            integer, real,        boolean,    string};
}
