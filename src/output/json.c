/* SPDX-License-Identifier: Apache-2.0 */
#include "output/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean_text.h"
#include "base/error.h"
#include "output/shape.h"

#define MAX_DEPTH 12

struct builder {
    json_t *open[MAX_DEPTH];
    int depth;
    json_t *root;
    bool failed;
};

/* Gives value to the innermost open container, which then owns it. */
static void put(struct builder *builder, const char *key, json_t *value)
{
    json_t *parent = builder->depth > 0 ? builder->open[builder->depth - 1] : NULL;
    int error = 0;
    if (value == NULL)
        error = 1;
    else if (parent == NULL)
        builder->root = value;
    else if (json_is_array(parent))
        error = json_array_append_new(parent, value);
    else
        error = json_object_set_new(parent, key, value);
    builder->failed |= error != 0;
}

static void open_container(struct builder *builder, const char *key, json_t *container)
{
    put(builder, key, container);
    if (builder->depth < MAX_DEPTH)
        builder->open[builder->depth++] = container;
    else
        builder->failed = true;
}

static void open_object(void *context, const char *key)
{
    open_container(context, key, json_object());
}

static void open_array(void *context, const char *key)
{
    open_container(context, key, json_array());
}

static void close_container(void *context)
{
    struct builder *builder = context;
    if (builder->depth > 0)
        builder->depth--;
}

static void integer(void *context, const char *key, uint64_t value)
{
    /* JSON integers end at 2^63 - 1 here; nothing real comes near. */
    put(context, key,
        value == DATASTALL_UNKNOWN
            ? json_null()
            : json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static void real(void *context, const char *key, double value)
{
    put(context, key, isfinite(value) ? json_real(value) : json_null());
}

static void boolean(void *context, const char *key, bool value)
{
    put(context, key, json_boolean(value));
}

static void string(void *context, const char *key, const char *value)
{
    json_t *text = value == NULL ? json_null() : json_string(value);
    if (text == NULL) { /* no valid UTF-8 */
        const size_t size = 3 * strlen(value) + 1;
        char *valid = malloc(size);
        text = valid == NULL ? NULL : json_string(ds_valid_text(value, valid, size));
        free(valid);
    }
    put(context, key, text);
}

/* With JSON_ENSURE_ASCII a terminal obeys nothing of it; DEL alone jansson leaves as it is. */
static int put_ascii(const char *bytes, size_t count, void *context)
{
    FILE *file = context;
    for (size_t i = 0; i < count; i++) {
        const int put = bytes[i] == 0x7f ? fputs("\\u007f", file) : fputc(bytes[i], file);
        if (put == EOF)
            return -1;
    }
    return 0;
}

/* As the text of a script element: nothing of it ends the element or begins another. */
static int put_for_page(const char *bytes, size_t count, void *context)
{
    FILE *file = context;
    for (size_t i = 0; i < count; i++) {
        const bool plain = bytes[i] != '<' && bytes[i] != '>' && bytes[i] != '&';
        if ((plain ? put_ascii(bytes + i, 1, file)
                   : fprintf(file, "\\u%04x", (unsigned)(unsigned char)bytes[i])) < 0)
            return -1;
    }
    return 0;
}

static void shape_of_summary(const void *summary, const struct emitter *emitter)
{
    output_shape(summary, emitter);
}

int output_json(const struct summary *summary, FILE *file)
{
    return output_json_document(shape_of_summary, summary, file);
}

struct form {
    int (*put)(const char *bytes, size_t count, void *context);
    size_t flags; /* jansson's */
};

static int write_document(void (*shape)(const void *context, const struct emitter *emitter),
                          const void *context, const struct form *form, FILE *file)
{
    struct builder builder = {.depth = 0};
    const struct emitter emitter = {&builder, open_object, open_array, close_container,
                                    integer,  real,        boolean,    string};
    shape(context, &emitter);
    if (builder.failed || builder.root == NULL) {
        json_decref(builder.root);
        return ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
    }
    const int error = json_dump_callback(builder.root, form->put, file, form->flags);
    json_decref(builder.root);
    return error == 0 || ferror(file) ? DATASTALL_OK
                                      : ds_fail(DATASTALL_ERR_MEMORY, "out of memory");
}

int output_json_document(void (*shape)(const void *context, const struct emitter *emitter),
                         const void *context, FILE *file)
{
    static const struct form form = {put_ascii,
                                     JSON_INDENT(2) | JSON_REAL_PRECISION(15) | JSON_ENSURE_ASCII};
    const int error = write_document(shape, context, &form, file);
    if (error == DATASTALL_OK)
        fputc('\n', file);
    return error;
}

int output_json_for_page(void (*shape)(const void *context, const struct emitter *emitter),
                         const void *context, FILE *file)
{
    static const struct form form = {put_for_page,
                                     JSON_COMPACT | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII};
    return write_document(shape, context, &form, file);
}

struct several {
    const struct summary *const *runs;
    uint32_t count;
};

static void shape_of_runs(const void *context, const struct emitter *emitter)
{
    const struct several *several = context;
    emitter->open_object(emitter->context, NULL);
    emitter->open_array(emitter->context, "runs");
    for (uint32_t i = 0; i < several->count; i++)
        output_shape(several->runs[i], emitter);
    emitter->close(emitter->context);
    emitter->close(emitter->context);
}

int output_json_runs(const struct summary *const *runs, uint32_t count, FILE *file)
{
    const struct several several = {runs, count};
    return output_json_document(shape_of_runs, &several, file);
}
