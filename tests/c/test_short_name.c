/* SPDX-License-Identifier: Apache-2.0 */
/* Loaders' names where there is little room: what tells them apart stays. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/short_name.h"

static const char framework[] =
    "a_script_that_trains_the_model.py:120 get_train_dataloader() from main.py:7";

static void lines_stay(void **state)
{
    (void)state;
    static const struct {
        size_t room;
        const char *from, *expected;
    } rows[] = {
        {63, "train.py:12", "train.py:12"},
        {11, "train.py:12", "train.py:12"},
        {10, "train.py:12", "tra~.py:12"},
        {63, "names_that_are_long.py:3 from names_that_are_long.py:7 and more",
         "names_that_are_long.py:3 from names_that_are_long.py:7 and more"},
        {50, "names_that_are_long.py:3 from names_that_are_long.py:7",
         "names_tha~re_long.py:3 from names_tha~re_long.py:7"},
        {30, "names_that_are_long.py:3 from names_that_are_long.py:7",
         "name~ng.py:3 from name~ng.py:7"},
        {16, "names_that_are_long.py:3 from names_that_are_long.py:7", "n~y:3 from n~y:7"},
        {60, framework, "a_script~_model.py:120 get_train_dataloader() from main.py:7"},
        {45, framework, "a_s~l.py:120 get_tra~aloader() from main.py:7"},
        {21, "cell 12, line 34 get_train_dataloader()", "cell 12, line 34 ~r()"},
        {19, "cell 12, line 34 from cell 13, line 5", "~om cell 13, line 5"},
        {20, "a_long_module_name.py:1234567 (2)", "a_l~e.py:1234567 (2)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char to[128];
        ds_short_name(rows[i].from, to, rows[i].room + 1);
        assert_string_equal(to, rows[i].expected);
    }
}

/* At each width that holds them at all. */
static void numbers_stay_at_every_width(void **state)
{
    (void)state;
    char to[sizeof framework];
    const size_t least = strlen("~:120 ~() ~ ~:7");
    for (size_t room = least; room < sizeof framework; room++) {
        ds_short_name(framework, to, room + 1);
        assert_true(strlen(to) <= room);
        assert_non_null(strstr(to, ":120 "));
        assert_string_equal(to + strlen(to) - 2, ":7");
    }
    for (size_t room = 0; room < least; room++) {
        memset(to, 'x', sizeof to);
        ds_short_name(framework, to, room + 1);
        assert_true(strlen(to) <= room);
        if (room > 2)
            assert_string_equal(to + strlen(to) - 2, ":7");
    }
}

static void other_names_keep_both_ends(void **state)
{
    (void)state;
    char to[17];
    assert_string_equal(ds_short_name("the loader that shuffles", to, sizeof to),
                        "the loa~shuffles");
    assert_string_equal(
        ds_short_name("a b c d e f g h i j k l m n o p q r s t.py:1", to, sizeof to),
        "a b c d~s t.py:1");
    assert_string_equal(ds_short_name(NULL, to, sizeof to), "");
    assert_string_equal(ds_short_name("", to, sizeof to), "");
}

static void characters_stay_whole(void **state)
{
    (void)state;
    static const char *const names[] = {"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9",
                                        "\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e.py:17",
                                        "\U0001f600\U0001f601\U0001f602\U0001f603\U0001f604"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t room = 0; room < 30; room++) {
            char to[32];
            ds_short_name(names[i], to, room + 1);
            assert_true(strlen(to) <= room);
            for (const char *c = to; *c != '\0';) {
                const unsigned char first = (unsigned char)*c++;
                size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
                assert_true((first & 0xc0) != 0x80);
                for (; more > 0; more--)
                    assert_int_equal((unsigned char)*c++ & 0xc0, 0x80);
            }
        }
    }
}

/* The whole field is defined: it goes into a file. */
static void the_rest_is_zero(void **state)
{
    (void)state;
    char to[64], zeros[64] = {0};
    memset(to, 'x', sizeof to);
    ds_short_name("train.py:12", to, sizeof to);
    assert_memory_equal(to + 11, zeros, sizeof to - 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_stay),
        cmocka_unit_test(numbers_stay_at_every_width),
        cmocka_unit_test(other_names_keep_both_ends),
        cmocka_unit_test(characters_stay_whole),
        cmocka_unit_test(the_rest_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
