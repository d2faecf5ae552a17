/* SPDX-License-Identifier: Apache-2.0 */
/* datastall._core.Consumer: what one iterator hands out in one epoch, and what is known of it. */
#ifndef DATASTALL_PYTHON_CONSUMER_TYPE_H
#define DATASTALL_PYTHON_CONSUMER_TYPE_H

#include "composition.h"
#include "record/feed.h"
#include "recording.h"

typedef struct {
    PyObject_HEAD datastall_loader *inner; /* of the loader; NULL once collected */
    Loader *loader;
    PyObject *measure; /* callable(batch), or NULL: look at the shapes */
    struct feed *feed; /* what feeds the iterator; NULL: not known */
    uint64_t batches;  /* so far */
    uint64_t host_noted_ns;
    bool feed_asked; /* it was tried to learn what feeds it */
    bool iterating;  /* begun and not ended: see monitor_iteration_begins() */
    bool ended;      /* by its last next() */
    struct monitor_ahead ahead;
    struct composition composition;
} Consumer;

int consumer_type_add(PyObject *module);

/* The object as a Consumer; NULL, without an error, for anything else. */
Consumer *consumer_type_cast(PyObject *object);

/* The iteration is over: there is no more, or (dropped) nobody can take it any more. */
void consumer_type_end(Consumer *self, uint64_t end_ns, bool dropped);

/* next() raised: calls the hooks' teller, which calls worker_ended(). No error is set before or after. */
void consumer_type_tell_failure(Consumer *self, PyObject *iterator);

/* Calls the hooks' feed opener, which calls open_feed(). Sets no error. */
void consumer_type_ask_feed(Consumer *self, PyObject *iterator);

#endif
