/* SPDX-License-Identifier: Apache-2.0 */
/* How wide a stream's terminal is, and what it can show. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "diagnose/cost.h"

/* $COLUMNS, else the terminal's width, else CARD_LEAST_WIDTH. */
static unsigned width_of(FILE *file)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    char *end = NULL;
    const unsigned long told = columns == NULL ? 0 : strtoul(columns, &end, 10);
    if (end != NULL && end != columns && *end == '\0' && told > 0 && told < 10000)
        return (unsigned)told;
    if (isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return CARD_LEAST_WIDTH;
}

/* As the locale's variables say; the program itself sets no locale. */
static bool is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

struct card_style cli_card_style(FILE *file)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    const bool plain = (no_color != NULL && no_color[0] != '\0') || term == NULL ||
                       term[0] == '\0' || strcmp(term, "dumb") == 0;
    return (struct card_style){
        .width = width_of(file),
        .colour = !plain && isatty(fileno(file)),
        .unicode = is_utf8(),
    };
}

double cli_price(const char *command, const char *value)
{
    const double price = cost_price(value);
    if (!(price > 0))
        ds_say("%s: --price-per-gpu-hour takes a number such as 2.50, and '%s' is none", command,
               value);
    return price;
}
