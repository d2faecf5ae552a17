/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape_cost.h"

#include "diagnose/cost.h"
#include "output/put.h"

#define LEAST_SHARE 0.005

static void put_cost_range(out e, const char *key, const struct cost_range *range, double factor)
{
    e->open_object(e->context, key);
    put_real(e, "lower", range->lower * factor);
    put_real(e, "upper", range->upper * factor);
    e->close(e->context);
}

static void put_causes(out e, const struct cost *cost)
{
    e->open_array(e->context, "causes");
    for (uint32_t c = 0; c < CAUSE_STATES; c++) {
        if (!(cost->shares[c] >= LEAST_SHARE))
            continue;
        e->open_object(e->context, NULL);
        e->string(e->context, "cause", why_name(c));
        put_real(e, "share", cost->shares[c]);
        put_cost_range(e, "gpu_hours", &cost->stalled_gpu_hours, cost->shares[c]);
        put_cost_range(e, "money", &cost->stalled_gpu_hours,
                       cost->shares[c] * cost->price_per_gpu_hour);
        put_cost_range(e, "energy_j", &cost->stalled_energy_j, cost->shares[c]);
        e->close(e->context);
    }
    e->close(e->context);
}

void output_cost_shape(const struct summary *summary, out e)
{
    struct cost cost;
    char text[320];
    cost_of(summary, &cost);
    cost_text(&cost, text, sizeof text);
    e->open_object(e->context, "cost");
    put_integer(e, "gpus", cost.gpus);
    put_real(e, "gpu_hours", cost.gpu_hours);
    put_cost_range(e, "stalled_gpu_hours", &cost.stalled_gpu_hours, 1);
    put_real(e, "price_per_gpu_hour", cost.price_per_gpu_hour);
    put_real(e, "money", cost.gpu_hours * cost.price_per_gpu_hour);
    put_cost_range(e, "stalled_money", &cost.stalled_gpu_hours, cost.price_per_gpu_hour);
    put_real(e, "energy_j", cost.energy_j);
    put_cost_range(e, "stalled_energy_j", &cost.stalled_energy_j, 1);
    put_causes(e, &cost);
    put_string(e, "text", text);
    e->close(e->context);
}
