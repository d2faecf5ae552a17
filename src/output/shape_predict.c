/* SPDX-License-Identifier: Apache-2.0 */
#include "output/shape_predict.h"

#include <math.h>

#include "output/put.h"

static void put_setting(out e, const char *key, const struct predict_setting *setting)
{
    e->open_object(e->context, key);
    put_integer(e, "num_workers", setting->num_workers);
    put_integer(e, "prefetch_factor",
                setting->prefetch_factor == 0 ? DATASTALL_UNKNOWN : setting->prefetch_factor);
    e->boolean(e->context, "persistent_workers", setting->persistent_workers);
    e->boolean(e->context, "if_split", setting->if_split);
    put_range(e, "samples_per_s", &setting->samples_per_s);
    put_range(e, "window_s", &setting->window_s);
    put_range(e, "stall_share", &setting->stall_share);
    e->close(e->context);
}

void output_predict_shape(const struct predict *predict, const struct emitter *e)
{
    if (predict == NULL) {
        e->string(e->context, "predicted", NULL);
        return;
    }
    const bool silent = predict->says[0] != '\0';
    e->open_object(e->context, "predicted");
    put_string(e, "says", predict->says);
    put_string(e, "left_out", predict->left_out);
    put_real(e, "replay_error", predict->miss);
    if (isnan(predict->miss))
        e->string(e->context, "measured", NULL);
    else
        put_setting(e, "measured", &predict->measured);
    put_integer(e, "best",
                silent || predict->best == UINT32_MAX ? DATASTALL_UNKNOWN : predict->best);
    e->open_array(e->context, "settings");
    for (uint32_t i = 0; i < predict->count; i++)
        put_setting(e, NULL, &predict->settings[i]);
    e->close(e->context);
    e->open_array(e->context, "without");
    for (uint32_t i = 0; i < predict->without_count; i++) {
        const struct predict_without *without = &predict->without[i];
        e->open_object(e->context, NULL);
        put_string(e, "what", predict_part_name(without->part));
        put_range(e, "samples_per_s", &without->samples_per_s);
        put_range(e, "window_s", &without->window_s);
        e->close(e->context);
    }
    e->close(e->context);
    e->close(e->context);
}
