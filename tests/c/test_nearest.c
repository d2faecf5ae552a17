/* SPDX-License-Identifier: Apache-2.0 */
/* "Did you mean": what is near, and that nothing far is offered. */
#include "cmocka_all.h"

#include <string.h>

#include "base/nearest.h"

/* What is offered for a word, of these; NULL: nothing. */
static const char *best_for(const char *word)
{
    static const char *const names[] = {"run", "show", "ls", "top", "serve", "export", "interval"};
    struct nearest nearest = {.word = word};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        nearest_offer(&nearest, names[i], names[i]);
    return nearest.best;
}

static void test_one_slip(void **state)
{
    static const char *const cases[][2] = {
        {"shwo", "show"},     {"SHOW", "show"},          {"sl", "ls"},      {"tops", "top"},
        {"exprot", "export"}, {"intrevall", "interval"}, {"srve", "serve"}, {"exqort", "export"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(best_for(cases[i][0]), cases[i][1]);
}

static void test_what_is_far(void **state)
{
    static const char *const cases[] = {"", "x", "zzz", "compare", "showing off", "trrain.py"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_null(best_for(cases[i]));
}

static void test_long_words(void **state)
{
    char longest[129], longer[130];
    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[128] = '\0';
    memset(longer, 'a', sizeof longer - 1);
    longer[129] = '\0';
    struct nearest nearest = {.word = longest};
    nearest_offer(&nearest, longer, "beyond the bound");
    assert_null(nearest.best);
    nearest_offer(&nearest, longest + 1, "within");
    assert_string_equal(nearest.best, "within");
    assert_int_equal(nearest.distance, 1);
}

static void test_the_later_of_two_stays(void **state)
{
    char text[64];
    struct nearest nearest = {.word = "run-3"};
    (void)state;
    assert_string_equal(nearest_hint(&nearest, "", text, sizeof text), "");
    nearest_offer(&nearest, "run-1", "older");
    nearest_offer(&nearest, "run-2", "newer");
    nearest_offer(&nearest, "run-22", "further");
    assert_string_equal(nearest_hint(&nearest, "--", text, sizeof text),
                        " (did you mean '--newer'?)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_slip),
        cmocka_unit_test(test_what_is_far),
        cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_the_later_of_two_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
