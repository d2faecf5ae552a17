/* SPDX-License-Identifier: Apache-2.0 */
/* Pages in a terminal: each within any width, nothing of it lost, styles ended with each line. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/paragraphs.h"
#include "output/topic.h"

static char *printed(const char *text, unsigned width, bool colour)
{
    char *out = NULL;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    assert_non_null(file);
    topic_print(text, width, colour, file);
    fclose(file);
    return out;
}

static void expect(const char *text, unsigned width, bool colour, const char *expected)
{
    char *out = printed(text, width, colour);
    assert_string_equal(out, expected);
    free(out);
}

static void words_are_wrapped(void **state)
{
    (void)state;
    expect("#1 A \003b\004\n\nP0 one two three four five six seven eight nine\n", 40, false,
           "A b\n\none two three four five six seven eight\nnine\n");
    /* ticks count, an item's lines are under its text, a longer word stays whole */
    expect("P2 -\t\003a b\004 bbbbbbbbbb cccccccccc dddddddddd eeee f\n", 40, false,
           "  - `a b` bbbbbbbbbb cccccccccc\n    dddddddddd eeee f\n");
    expect("P0 a 0123456789012345678901234567890123456789012345 b\n", 40, false,
           "a\n0123456789012345678901234567890123456789012345\nb\n");
    expect("C2 x  y\nC0 \nP0 \n", 40, false, "      x  y\n\n\n");
}

static void a_style_ends_with_its_line(void **state)
{
    (void)state;
    expect("P0 aaaaaaaaaaaaaaaaaaaa \001bbbbbbbbbbbbbbbbbb ccc\002 d\n", 40, true,
           "aaaaaaaaaaaaaaaaaaaa \033[1mbbbbbbbbbbbbbbbbbb\033[0m\n\033[1mccc\033[0m d\n");
    expect("P0 \003x\004\n", 40, true, "\033[36mx\033[0m\n");
}

static void tables_fit(void **state)
{
    (void)state;
    static const char table[] = "T0 key\t\nT0 \003a\004\tone two\nT0 bb\tthree\n";
    expect(table, 40, false, "key\n---  -------\n`a`  one two\nbb   three\n");
    /* the widest column gives way */
    expect("T0 k\tv\nT0 a\taaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbb\n", 40, false,
           "k  v\n-  -------------------------------------\na  aaaaaaaaaaaaaaaaaaaa\n   "
           "bbbbbbbbbbbbbbbbbbbbbbbb\n");
    /* no room for columns: a list */
    expect("T0 k\tv\tw\nT0 aaaaaaaaaaaaaaaaaaaaaa\tbbbbbbbbbbbbbbbbbbbbbb\tc\n", 40, false,
           "aaaaaaaaaaaaaaaaaaaaaa\n    v: bbbbbbbbbbbbbbbbbbbbbb\n    w: c\n");
}

/* Letters and digits, for comparing what was printed with what is there. */
static size_t letters(const char *text)
{
    size_t count = 0;
    for (const char *c = text; *c != '\0'; c++)
        count += (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
    return count;
}

/* Those of a page without the digit in the head of each block. */
static size_t letters_of_page(const char *text)
{
    size_t blocks = text[0] != '\n';
    for (const char *c = text; *c != '\0'; c++)
        blocks += *c == '\n' && c[1] != '\n' && c[1] != '\0';
    return letters(text) - blocks;
}

/* Lines of code are as they are, and so is a word that is wider than the terminal. */
static bool may_be_wide(const char *line)
{
    return strncmp(line, "    ", 4) == 0 || strchr(line + strspn(line, " "), ' ') == NULL;
}

static void every_page_fits_every_width(void **state)
{
    (void)state;
    unsigned pages = 0;
    for (const struct topic *topic = topics; topic->name != NULL; topic++, pages++) {
        assert_ptr_equal(topic_find(topic->name), topic);
        assert_true(strlen(topic->title) > 3 && strlen(topic->title) < 64);
        for (unsigned width = 80; width <= 320; width += 48) {
            char *out = printed(topic->text, width, false), *rest = NULL;
            /* more where a table became a list, which names its columns in each row */
            assert_true(letters(out) >= letters_of_page(topic->text));
            assert_null(strpbrk(out, "\001\002\003\004\t\033"));
            for (char *line = strtok_r(out, "\n", &rest); line != NULL;
                 line = strtok_r(NULL, "\n", &rest)) {
                if (paragraphs_columns(line) > width && !may_be_wide(line))
                    fail_msg("%s at %u: %s", topic->name, width, line);
            }
            free(out);
        }
    }
    assert_true(pages > 10);
    assert_null(topic_find("no such page"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_wrapped),
        cmocka_unit_test(a_style_ends_with_its_line),
        cmocka_unit_test(tables_fit),
        cmocka_unit_test(every_page_fits_every_width),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
