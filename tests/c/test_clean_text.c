/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere: what a terminal might obey, and what only makes two names look the same. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "base/clean_text.h"

static void assert_clean(const char *from, const char *expected)
{
    char to[256];
    assert_string_equal(ds_clean_text(from, to, sizeof to), expected);
}

static void hidden_characters_become_question_marks(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *text;
    } hidden[] = {
        {"newline", "\n"},
        {"escape", "\x1b"},
        {"DEL", "\x7f"},
        {"C1: CSI", "\xc2\x9b"},
        {"soft hyphen", "\u00ad"},
        {"combining grapheme joiner", "\u034f"},
        {"Arabic letter mark", "\u061c"},
        {"Hangul filler", "\u115f"},
        {"Mongolian separator", "\u180e"},
        {"zero-width space", "\u200b"},
        {"zero-width joiner", "\u200d"},
        {"right-to-left mark", "\u200f"},
        {"line separator", "\u2028"},
        {"paragraph separator", "\u2029"},
        {"right-to-left override", "\u202e"},
        {"word joiner", "\u2060"},
        {"isolate", "\u2066"},
        {"end of isolate", "\u2069"},
        {"halfwidth filler", "\uffa0"},
        {"variation selector", "\ufe0f"},
        {"byte-order mark", "\ufeff"},
        {"annotation", "\ufff9"},
        {"noncharacter", "\ufdd0"},
        {"noncharacter", "\uffff"},
        {"noncharacter", "\U0001fffe"},
        {"noncharacter", "\U0010ffff"},
        {"tag", "\U000e0041"},
        {"variation selector", "\U000e0100"},
    };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        char text[32], clean[32];
        snprintf(text, sizeof text, "a%sz", hidden[i].text);
        if (strcmp(ds_clean_text(text, clean, sizeof clean), "a?z") != 0)
            fail_msg("%s: '%s'", hidden[i].kind, clean);
    }
}

static void what_shows_itself_stays(void **state)
{
    (void)state;
    assert_clean("", "");
    assert_clean("train \"a\" \\ ~", "train \"a\" \\ ~");
    assert_clean("\u00a0\u00fc \u03b1\u0416 \u4e16\u754c e\u0301 \U0001f600 \ufffd \ue000",
                 "\u00a0\u00fc \u03b1\u0416 \u4e16\u754c e\u0301 \U0001f600 \ufffd \ue000");
    assert_clean("\u180a\u1810\u200a\u2010\u2027\u202f\u2070\ufdcf\ufdf0\uffa1",
                 "\u180a\u1810\u200a\u2010\u2027\u202f\u2070\ufdcf\ufdf0\uffa1");
}

static void what_is_no_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\xff",
                                        "\x80",
                                        "\xc0\xaf",
                                        "\xe0\x80\x80",
                                        "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf0\x80\x80\x80",
                                        "\xe4\xb8"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[16], to[64], expected[64] = "\u00fc";
        snprintf(text, sizeof text, "\u00fc%s", wrong[i]);
        for (size_t k = 0; k < strlen(wrong[i]); k++)
            strcat(expected, "?");
        assert_string_equal(ds_clean_text(text, to, sizeof to), expected);
        strcpy(expected, "\u00fc");
        for (size_t k = 0; k < strlen(wrong[i]); k++)
            strcat(expected, "\ufffd");
        assert_string_equal(ds_valid_text(text, to, sizeof to), expected);
    }
    char to[32];
    assert_string_equal(ds_valid_text("\u202e\x1b\ufeff", to, sizeof to), "\u202e\x1b\ufeff");
}

static void cuts_between_characters(void **state)
{
    (void)state;
    char to[8];
    assert_string_equal(ds_clean_text("12345678", to, sizeof to), "1234567");
    assert_string_equal(ds_clean_text("12345\u4e16", to, sizeof to), "12345");
    assert_string_equal(ds_clean_text("1234\u4e16", to, sizeof to), "1234\u4e16");
    assert_string_equal(ds_clean_text("123456\u00fc", to, sizeof to), "123456");
    assert_string_equal(ds_valid_text("12345\xff", to, sizeof to), "12345");
    assert_string_equal(ds_clean_text("a", to, 1), "");
    assert_string_equal(ds_shortened_text("1234567", to, sizeof to), "1234567");
    assert_string_equal(ds_shortened_text("12345678", to, sizeof to), "1234...");
    assert_string_equal(ds_shortened_text("123\u4e16678", to, sizeof to), "123...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_characters_become_question_marks),
        cmocka_unit_test(what_shows_itself_stays),
        cmocka_unit_test(what_is_no_utf8),
        cmocka_unit_test(cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
