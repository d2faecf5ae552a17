/* SPDX-License-Identifier: Apache-2.0 */
#include "approved.h"

#include "cmocka_all.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_BYTES 64
#define LINE_BYTES 128
#define MOST_INPUTS 2000
#define MOST_NAMED 8

static struct {
    const char *name;
    uint32_t count;
    char label[LABEL_BYTES];
    FILE *stream;
    char *text;
    size_t length;
    char lines[MOST_INPUTS][LINE_BYTES];
} now;

void approved_begin(const char *name)
{
    memset(&now, 0, sizeof now);
    now.name = name;
}

/* FNV-1a. */
static uint64_t digest(const char *text, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void keep_text(uint32_t input)
{
    const char *folder = getenv("DATASTALL_TEST_SAID");
    char path[4096];
    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%s-%03u.txt", folder, now.name, input);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fwrite(now.text, 1, now.length, file);
    assert_int_equal(fclose(file), 0);
}

static void end_input(void)
{
    if (now.stream == NULL)
        return;
    assert_int_equal(fclose(now.stream), 0);
    now.stream = NULL;
    keep_text(now.count);
    snprintf(now.lines[now.count], LINE_BYTES, "%03u %016llx %s\n", now.count,
             (unsigned long long)digest(now.text, now.length), now.label);
    now.count++;
    free(now.text);
    now.label[0] = '\0';
}

void approved_input(void)
{
    end_input();
    assert_true(now.count < MOST_INPUTS);
    now.stream = open_memstream(&now.text, &now.length);
    assert_non_null(now.stream);
}

void approved_label(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(now.label, sizeof now.label, format, arguments);
    va_end(arguments);
}

FILE *approved_stream(void)
{
    return now.stream;
}

static void write_approved(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (uint32_t i = 0; i < now.count; i++)
        fputs(now.lines[i], file);
    assert_int_equal(fclose(file), 0);
}

void approved_end(void)
{
    char path[4096], line[LINE_BYTES];
    uint32_t different = 0, i = 0;
    end_input();
    snprintf(path, sizeof path, "%s/%s.txt", TEST_DATA, now.name);
    if (getenv("DATASTALL_TEST_APPROVE") != NULL) {
        write_approved(path);
        return;
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file) != NULL; i++) {
        const char *said = i < now.count ? now.lines[i] : "nothing\n";
        if (strcmp(line, said) != 0 && different++ < MOST_NAMED)
            print_message("approved: %sis said: %s", line, said);
    }
    fclose(file);
    if (different > 0 || i != now.count)
        fail_msg("%s: %u of %u inputs are not as they were approved; see approved.h", now.name,
                 different + (now.count > i ? now.count - i : 0), now.count);
}

/* ---- a document, a line per value ---- */

static void put_key(const char *key)
{
    fprintf(now.stream, "%s ", key != NULL ? key : "-");
}

static void open_any(void *context, const char *key)
{
    (void)context;
    put_key(key);
    fputs("(\n", now.stream);
}

static void close_any(void *context)
{
    (void)context;
    fputs(")\n", now.stream);
}

static void put_whole(void *context, const char *key, uint64_t value)
{
    (void)context;
    put_key(key);
    fprintf(now.stream, "%llu\n", (unsigned long long)value);
}

static void put_real_number(void *context, const char *key, double value)
{
    (void)context;
    put_key(key);
    if (isnan(value))
        fputs("nan\n", now.stream);
    else
        fprintf(now.stream, "%.6g\n", value == 0 ? 0.0 : value); /* no -0 */
}

static void put_truth(void *context, const char *key, bool value)
{
    (void)context;
    put_key(key);
    fputs(value ? "yes\n" : "no\n", now.stream);
}

static void put_text(void *context, const char *key, const char *value)
{
    (void)context;
    put_key(key);
    fprintf(now.stream, "%s\n", value != NULL ? value : "null");
}

const struct emitter *approved_emitter(void)
{
    static const struct emitter emitter = {
        .open_object = open_any,
        .open_array = open_any,
        .close = close_any,
        .integer = put_whole,
        .real = put_real_number,
        .boolean = put_truth,
        .string = put_text,
    };
    return &emitter;
}

/* ---- made-up inputs ---- */

static uint64_t random_state;
static int are_round;

void made_up_begin(uint64_t seed)
{
    random_state = seed;
}

void made_up_round(int is_round)
{
    are_round = is_round;
}

/* SplitMix64, of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014). */
uint64_t made_up(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t made_up_below(uint64_t count)
{
    return count == 0 ? 0 : made_up() % count;
}

int made_up_once_in(uint64_t times)
{
    return made_up_below(times) == 0;
}

uint64_t made_up_part(uint64_t whole)
{
    static const uint64_t twentieths[] = {0, 1, 2, 4, 5, 10, 18, 20};
    if (are_round)
        return whole * twentieths[made_up_below(sizeof twentieths / sizeof *twentieths)] / 20;
    const uint64_t thousandths = made_up_below(1200);
    if (thousandths < 100)
        return 0;
    return thousandths >= 1100 ? whole : whole / 1000 * (thousandths - 100);
}

uint64_t made_up_size(unsigned low, unsigned high)
{
    const unsigned power = low + (unsigned)made_up_below(high - low + 1);
    if (are_round) {
        uint64_t ten = 1;
        while (ten < UINT64_C(1) << power)
            ten *= 10;
        return ten;
    }
    return (UINT64_C(1) << power) + made_up_below(UINT64_C(1) << power);
}
