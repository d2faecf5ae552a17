/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnose/why_try.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "diagnose/summary.h"

#define LEAST_LESS 1.1 /* times as fast */
#define PART 0.9       /* of the program's time: less is not nearly all */

void why_try(struct why *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->suggestion, sizeof why->suggestion, format, arguments);
    va_end(arguments);
}

void why_try_also(struct why *why, const char *format, ...)
{
    const size_t used = strlen(why->suggestion);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->suggestion + used, sizeof why->suggestion - used, format, arguments);
    va_end(arguments);
}

const char *why_gain_text(struct why *why, const struct range *faster, char *text, size_t size)
{
    why->gain_told = true;
    snprintf(text, size, "%.*fx faster (%.*f to %.*f)", faster->mean < 10 ? 2 : 0, faster->mean,
             faster->lower < 10 ? 2 : 0, faster->lower, faster->upper < 10 ? 2 : 0, faster->upper);
    return text;
}

const char *why_gain_of(const struct run_loader *loader, struct why *why,
                        const struct range *faster, char *text, size_t size)
{
    if (!loader->background)
        return why_gain_text(why, faster, text, size);
    why->gain_told = true;
    snprintf(text, size, "up to %.*fx faster as far as the program keeps up",
             faster->upper < 10 ? 2 : 0, faster->upper);
    return text;
}

static void add_gain(const struct run_loader *loader, struct why *why, const struct range *worth,
                     const char *what)
{
    const char *more =
        why_shares_cpus(loader, why) ? ", or more: loop and workers share the CPUs" : "";
    /* No more than without any waiting. */
    const double most =
        why->active_ns > why->stall_ns ? why_ceiling(why->active_ns, why->stall_ns) : INFINITY;
    const double upper = worth->upper < most ? worth->upper : most;
    /* How fast the program takes from a thread of its own is not seen. */
    if (why->suggestion[0] == '\0' || loader->background || !(worth->upper >= WHY_LEAST_WORTH) ||
        upper < WHY_LEAST_WORTH)
        return;
    why->gain_told = true;
    why_try_also(why, " (%s: up to %.2fx%s)", what, upper, more);
}

void why_add_worth(const struct run_loader *loader, struct why *why, const char *what)
{
    add_gain(loader, why, &why->setting.at_most, what);
}

void why_add_less_to_do(const struct run_loader *loader, struct why *why)
{
    const struct why_setting *setting = &why->setting;
    if (!(setting->less.mean >= LEAST_LESS))
        return;
    why_try_also(why, "; and less to do: %s",
                 setting->less_is_collation ? "a cheaper collate_fn" : "cheaper items");
    add_gain(loader, why, &setting->less,
             setting->less_is_collation ? "without any collation" : "in half the CPU time");
}

void why_add_part(struct why *why, uint64_t program_ns)
{
    char part[32], whole[32];
    if (!why->gain_told || (double)why->active_ns >= PART * (double)program_ns)
        return;
    summary_duration_text((double)why->active_ns * 1e-9, part, sizeof part);
    summary_duration_text((double)program_ns * 1e-9, whole, sizeof whole);
    why_try_also(why, "; counted in the %s of %s that this loader is iterated", part, whole);
}
