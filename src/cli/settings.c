/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"
#include "diagnose/summary.h"

#define MOST_WORKERS 1024u
#define MOST_PREFETCH 1024u

enum kind { COUNT, TRUTH, METHOD };
static const struct argument {
    const char *name;
    enum kind kind;
    unsigned least, most;
} arguments[] = {
    {"num_workers", COUNT, 0, MOST_WORKERS},
    {"prefetch_factor", COUNT, 1, MOST_PREFETCH},
    {"persistent_workers", TRUTH, 0, 1},
    {"pin_memory", TRUTH, 0, 1},
    {"in_order", TRUTH, 0, 1},
    {"multiprocessing_context", METHOD, 0, 0},
};
#define ARGUMENTS (sizeof arguments / sizeof *arguments)

/* What decides which batches there are. */
static const char *const refused[] = {"dataset",   "batch_size",     "shuffle",
                                      "sampler",   "batch_sampler",  "collate_fn",
                                      "drop_last", "worker_init_fn", "generator"};

static const struct argument *find(const char *name, size_t length)
{
    for (size_t i = 0; i < ARGUMENTS; i++) {
        if (strlen(arguments[i].name) == length && strncmp(arguments[i].name, name, length) == 0)
            return &arguments[i];
    }
    return NULL;
}

static bool is_refused(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (strlen(refused[i]) == length && strncmp(refused[i], name, length) == 0)
            return true;
    }
    return false;
}

static void say_arguments(const char *what, int length, const char *name)
{
    char list[256] = "";
    for (size_t i = 0; i < ARGUMENTS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i > 0 ? ", " : "",
                 arguments[i].name);
    ds_say("run: %s%.*s; --set takes %s", what, length, name, list);
}

/* The value as the hooks read it; NULL: it is none. */
static const char *value_of(const struct argument *argument, const char *text, char word[16])
{
    static const char *const truths[] = {"true", "True", "1", "yes", "false", "False", "0", "no"};
    static const char *const methods[] = {"fork", "spawn", "forkserver"};
    if (argument->kind == COUNT) {
        char *end;
        const unsigned long value = strtoul(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || value < argument->least ||
            value > argument->most)
            return NULL;
        snprintf(word, 16, "%lu", value);
        return word;
    }
    for (size_t i = 0; argument->kind == TRUTH && i < sizeof truths / sizeof *truths; i++) {
        if (strcmp(text, truths[i]) == 0)
            return i < 4 ? "True" : "False";
    }
    for (size_t i = 0; argument->kind == METHOD && i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(text, methods[i]) == 0)
            return methods[i];
    }
    return NULL;
}

static void say_value(const struct argument *argument, const char *text)
{
    if (argument->kind == COUNT)
        ds_say("run: --set %s takes a whole number from %u to %u, not '%s'", argument->name,
               argument->least, argument->most, text);
    else
        ds_say("run: --set %s takes %s, not '%s'", argument->name,
               argument->kind == TRUTH ? "true or false" : "fork, spawn or forkserver", text);
}

bool settings_add(const char *text, char *lines)
{
    const char *equals = strrchr(text, '=');
    if (equals == NULL || strchr(text, '\n') != NULL) {
        ds_say("run: --set %s: write [NAME:]ARGUMENT=VALUE, as in --set num_workers=4", text);
        return false;
    }
    const char *name = equals;
    while (name > text && name[-1] != ':')
        name--;
    const size_t length = (size_t)(equals - name);
    const struct argument *argument = find(name, length);
    if (argument == NULL) {
        say_arguments(is_refused(name, length) ? "which batches there are depends on "
                                               : "DataLoader takes no argument ",
                      (int)length, name);
        return false;
    }
    char word[16];
    const char *value = value_of(argument, equals + 1, word);
    if (value == NULL) {
        say_value(argument, equals + 1);
        return false;
    }
    const size_t used = strlen(lines);
    if (snprintf(lines + used, SETTINGS_BYTES - used, "%s%.*s=%s", used > 0 ? "\n" : "",
                 (int)(equals - text), text, value) >= (int)(SETTINGS_BYTES - used)) {
        ds_say("run: --set: too long; at most %d bytes in all", SETTINGS_BYTES - 1);
        return false;
    }
    return true;
}

void settings_say(const char *lines)
{
    char list[SETTINGS_BYTES];
    snprintf(list, sizeof list, "%s", lines);
    for (char *c = list; *c != '\0'; c++)
        *c = *c == '\n' ? ' ' : *c;
    const bool order = strstr(lines, "num_workers=") != NULL || strstr(lines, "in_order=") != NULL;
    ds_say("run: sets %s where a DataLoader is made%s", list,
           order ? "; random numbers drawn in workers and the order of a stream depend on it" : "");
}

/* As datastall/_settings.py has it. */
static bool is_meant(const char *name, size_t length, const struct rf_loader_entry *entry)
{
    const size_t site = strlen(entry->site);
    return (strncmp(name, entry->dataset_type, length) == 0 &&
            entry->dataset_type[length] == '\0') ||
           (length >= site && strncmp(name, entry->site, site) == 0 &&
            (length == site || name[site] == ' '));
}

static bool is_settable(const struct summary_loader *loader)
{
    return loader->data->entry.source == DATASTALL_SOURCE_TORCH &&
           loader->data->entry.num_workers != DATASTALL_UNKNOWN;
}

static void say_unused(const char *name, size_t length, const struct summary *summary)
{
    char there[256] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < summary->loader_count; i++) {
        const struct rf_loader_entry *entry = &summary->loaders[i].data->entry;
        if (!is_settable(&summary->loaders[i]))
            continue;
        if (is_meant(name, length, entry))
            return;
        char one[sizeof entry->site + sizeof entry->dataset_type + 8];
        snprintf(one, sizeof one, "%s (%s)", entry->site, entry->dataset_type);
        if (strstr(there, one) == NULL && used + strlen(one) + 3 < sizeof there)
            used += (size_t)snprintf(there + used, sizeof there - used, "%s%s",
                                     used > 0 ? ", " : "", one);
    }
    char sentence[512];
    snprintf(
        sentence, sizeof sentence,
        "run: --set %.*s: no DataLoader of that line or data set was iterated, nothing was set "
        "for it%s%s",
        (int)length, name, used > 0 ? "; there was " : "", there);
    cli_say_clean(sentence);
}

void settings_say_unused(const char *lines, const struct summary *summary)
{
    for (const char *line = lines; *line != '\0';) {
        const size_t bytes = strcspn(line, "\n");
        size_t length = bytes;
        while (length > 0 && line[length - 1] != '=')
            length--;
        while (length > 0 && line[length - 1] != ':')
            length--;
        if (length > 1)
            say_unused(line, length - 1, summary);
        line += bytes + (line[bytes] == '\n');
    }
}

int settings_export(const char *lines)
{
    const int failed =
        lines[0] == '\0' ? unsetenv("DATASTALL_SET") : setenv("DATASTALL_SET", lines, 1);
    return failed ? ds_fail(DATASTALL_ERR_MEMORY, "out of memory") : DATASTALL_OK;
}
