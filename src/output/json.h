/* SPDX-License-Identifier: Apache-2.0 */
/* The document of output/shape.h as text, through jansson. */
#ifndef DATASTALL_OUTPUT_JSON_H
#define DATASTALL_OUTPUT_JSON_H

#include <stdio.h>

#include "base/emitter.h"
#include "diagnose/summary.h"

/* Writes the document and a newline. 0 or DATASTALL_ERR_MEMORY; what could not be written, the
 * stream says (ferror()). */
int output_json(const struct summary *summary, FILE *file);

/* The same for any document: what shape(context) tells the emitter. */
int output_json_document(void (*shape)(const void *context, const struct emitter *emitter),
                         const void *context, FILE *file);

/* Compact, reals to six digits, and without what means something in HTML: as the text of a script
 * element of a page, or as an answer to one. */
int output_json_for_page(void (*shape)(const void *context, const struct emitter *emitter),
                         const void *context, FILE *file);

/* {"runs": [...]}, each run as output_json() writes it. */
int output_json_runs(const struct summary *const *runs, uint32_t count, FILE *file);

#endif
