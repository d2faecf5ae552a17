/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol buffers, as far as a trace of Perfetto's needs them: fields appended to a message, and a message
 * to the one that holds it. */
#ifndef DATASTALL_OUTPUT_PROTOBUF_H
#define DATASTALL_OUTPUT_PROTOBUF_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PB_MOST_BYTES 4096u

/* What does not fit is left out whole, field by field. */
struct pb {
    size_t length;
    unsigned char bytes[PB_MOST_BYTES];
};

static inline size_t pb_varint(uint64_t value, unsigned char to[10])
{
    size_t n = 0;
    while (value >= 0x80) {
        to[n++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (unsigned char)value;
    return n;
}

static inline void pb_raw(struct pb *pb, uint32_t field, uint32_t wire, const unsigned char *head,
                          size_t head_length, const void *bytes, size_t length)
{
    unsigned char tag[10];
    const size_t tag_length = pb_varint((uint64_t)field << 3 | wire, tag);
    if (pb->length + tag_length + head_length + length > PB_MOST_BYTES)
        return;
    memcpy(pb->bytes + pb->length, tag, tag_length);
    if (head_length > 0)
        memcpy(pb->bytes + pb->length + tag_length, head, head_length);
    if (length > 0)
        memcpy(pb->bytes + pb->length + tag_length + head_length, bytes, length);
    pb->length += tag_length + head_length + length;
}

static inline void pb_integer(struct pb *pb, uint32_t field, uint64_t value)
{
    unsigned char head[10];
    const size_t length = pb_varint(value, head);
    pb_raw(pb, field, 0, head, length, NULL, 0);
}

static inline void pb_double(struct pb *pb, uint32_t field, double value)
{
    unsigned char bytes[8];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
    pb_raw(pb, field, 1, NULL, 0, bytes, sizeof bytes);
}

static inline void pb_bytes(struct pb *pb, uint32_t field, const void *bytes, size_t length)
{
    unsigned char head[10];
    const size_t head_length = pb_varint(length, head);
    pb_raw(pb, field, 2, head, head_length, bytes, length);
}

static inline void pb_string(struct pb *pb, uint32_t field, const char *text)
{
    pb_bytes(pb, field, text, strlen(text));
}

static inline void pb_message(struct pb *pb, uint32_t field, const struct pb *message)
{
    pb_bytes(pb, field, message->bytes, message->length);
}

#endif
