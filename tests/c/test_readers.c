/* SPDX-License-Identifier: Apache-2.0 */
/* Files of any numbers through everything that shows them: no crash, no sum that wraps (under the
 * sanitizers of scripts/test.sh), and nothing on a terminal that it would obey. */
#include <string.h>
#include <unistd.h>

#include "base/clean_text.h"
#include "output/card.h"
#include "output/comparison.h"
#include "output/json.h"
#include "output/openmetrics.h"
#include "output/screen.h"
#include "output/text.h"
#include "small_file.h"
#include "support.h"

#define FILES 4000
#define NOW_NS (UINT64_C(130) * 1000000000)

static char path[300];
static const char *folder;

/* Nothing hidden but line ends. */
static void check_text(const char *text, const char *what)
{
    while (*text != '\0') {
        uint32_t character;
        const size_t bytes = ds_utf8_character(text, &character);
        CHECK(bytes > 0 && (character == '\n' || !ds_is_hidden(character)), "%s: U+%04X", what,
              character);
        text += bytes;
    }
}

static void print(const struct summary *summary, void (*show)(const struct summary *, FILE *),
                  const char *what)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    CHECK(file != NULL, "open_memstream");
    show(summary, file);
    fclose(file);
    CHECK(size > 0, "%s says nothing", what);
    check_text(text, what);
    free(text);
}

static void show_json(const struct summary *summary, FILE *file)
{
    CHECK(output_json(summary, file) == 0, "json");
}

static void show_card(const struct summary *summary, FILE *file)
{
    const struct card_style brief = {.width = 80, .next = "datastall show"};
    const struct card_style verbose = {.width = 80, .verbose = true};
    output_card(summary, &brief, file);
    output_card(summary, &verbose, file);
}

static void show_comparison(const struct summary *summary, FILE *file)
{
    static struct comparison comparison;
    const struct card_style style = {.width = 80};
    compare_runs(summary, summary, &comparison);
    output_comparison(&comparison, &style, file);
}

static void show_screen(const struct summary *const *runs, unsigned columns, unsigned rows)
{
    const struct screen_view view = {
        .columns = columns, .rows = rows, .now_ns = NOW_NS, .unicode = true, .clock = ""};
    struct screen *screen = screen_layout(runs, 1, &view);
    CHECK(screen != NULL, "screen");
    for (unsigned row = 0; row < screen->rows; row++) {
        char text[4 * SCREEN_MOST_COLUMNS + 8];
        screen_row_text(screen, row, text, sizeof text);
        check_text(text, "screen");
    }
    screen_free(screen);
}

static void show_metrics(const struct summary *const *runs, enum openmetrics_format format)
{
    char *text;
    size_t length;
    struct job_watch *jobs = job_watch_new();
    CHECK(jobs != NULL, "watch");
    job_watch_add(jobs, runs, 1, NOW_NS);
    const struct openmetrics_reading reading = {runs, 1, NOW_NS, jobs};
    CHECK(openmetrics_write(&reading, NULL, format, &text, &length) == 0, "metrics");
    check_text(text, "metrics");
    free(text);
    job_watch_free(jobs);
}

static uint32_t show_all(bool live)
{
    struct run_data *data;
    struct summary *summary;
    CHECK((live ? run_data_read_next(folder, NULL, &data) : run_data_read(folder, &data)) == 0,
          "read");
    const uint32_t problems = data->problems;
    CHECK(summary_make(data, NOW_NS, &summary) == 0, "summary");
    const struct summary *const runs[] = {summary};
    print(summary, output_text, "text");
    print(summary, show_card, "card");
    print(summary, show_comparison, "comparison");
    print(summary, show_json, "JSON");
    show_screen(runs, 80, 24);
    show_screen(runs, 200, 0);
    show_metrics(runs, OPENMETRICS_1_0);
    show_metrics(runs, OPENMETRICS_PROMETHEUS);
    summary_free(summary);
    run_data_free(data);
    return problems;
}

/* Some words of a sound file become numbers at the ends of their range, or random ones. */
static void spoil(unsigned char *bytes, size_t size, uint64_t *random)
{
    const uint64_t ends[] = {UINT64_MAX,
                             UINT64_MAX - 1,
                             UINT64_C(1) << 63,
                             UINT64_C(1) << 60,
                             (UINT64_C(1) << 60) + 1,
                             0,
                             UINT64_C(0x7ff0) << 48,
                             test_random(random)};
    const size_t first = 4096 / 8, words = size / 8 - first;
    for (uint64_t n = 1 + test_random(random) % 12; n > 0; n--) {
        const uint64_t value = ends[test_random(random) % 8];
        memcpy(bytes + (first + test_random(random) % words) * 8, &value, 8);
    }
}

int main(void)
{
    uint64_t random = 11, damaged = 0;
    size_t size;
    folder = test_folder();
    snprintf(path, sizeof path, "%s/1-a.dsrun", folder);
    small_file_make(path, true);
    unsigned char *sound = test_read_file(path, &size);
    unsigned char *bytes = malloc(size);
    CHECK(bytes != NULL && show_all(false) == 0 && show_all(true) == 0, "the file itself");
    for (int i = 0; i < FILES; i++) {
        memcpy(bytes, sound, size);
        spoil(bytes, size, &random);
        test_write_file(path, bytes, size);
        damaged += show_all(i % 2 == 1) > 0;
    }
    CHECK(damaged > FILES / 20, "only %llu files were found damaged", (unsigned long long)damaged);
    printf("%d files shown, %llu of them called damaged\n", FILES, (unsigned long long)damaged);
    free(bytes);
    free(sound);
    return 0;
}
