/* The document of output/shape.h as text, through jansson. */
#ifndef DATASTALL_OUTPUT_JSON_H
#define DATASTALL_OUTPUT_JSON_H

#include <stdio.h>

#include "diagnose/summary.h"

/* Writes the document and a newline. 0, or DATASTALL_ERR_IO / _MEMORY. */
int output_json(const struct summary *summary, FILE *file);

#endif
