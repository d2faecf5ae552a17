/* datastall._core: the recorder for Python, limited API of 3.10.
 *
 * What runs between a program's call of next() and its return is here, in C: it adds no frame to a
 * traceback and costs some hundred nanoseconds. Nothing here may change what the program sees:
 * every error of our own is swallowed (Consumer.problem keeps the first), every error of the
 * program's passes through untouched.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <link.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "beside.h"
#include "composition.h"
#include "datastall.h"
#include "document.h"
#include "errors.h"
#include "feeding.h"
#include "gpu/stall.h"
#include "gpu_monitor_type.h"
#include "record/feed.h"
#include "record/monitor.h"
#include "standin.h"

/* Only the outermost timed call of a thread counts: a loader inside a loader is part of its wait.
 */
static _Thread_local int timed_depth;

/* What stands around the loaders is looked at so often. */
#define HOST_NOTES_NS (2 * DS_NS_PER_S)

static PyTypeObject *monitor_type, *loader_type, *consumer_type, *watch_type, *next_type,
    *around_type;

static PyObject *raise_datastall(int error)
{
    PyObject *type = error == DATASTALL_ERR_ARGUMENT ? PyExc_ValueError
                     : error == DATASTALL_ERR_MEMORY ? PyExc_MemoryError
                                                     : PyExc_OSError;
    PyErr_SetString(type, datastall_last_error());
    return NULL;
}

/* ---- Monitor ---- */

typedef struct {
    PyObject_HEAD datastall_monitor *monitor; /* NULL once closed */
    PyObject *probe;                          /* called now and then: is a GPU in use? */
} Monitor;

static PyObject *monitor_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"directory", "run_name", "memory_only", "probe", NULL};
    const char *directory = NULL, *run_name = NULL;
    int memory_only = 0;
    PyObject *probe = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zzpO:Monitor", names, &directory, &run_name,
                                     &memory_only, &probe))
        return NULL;
    datastall_options options = DATASTALL_OPTIONS_INIT;
    options.directory = directory;
    options.run_name = run_name;
    options.flags = memory_only ? DATASTALL_MEMORY_ONLY : 0;
    datastall_monitor *monitor;
    int error;
    Py_BEGIN_ALLOW_THREADS
    error = datastall_open(&options, &monitor);
    Py_END_ALLOW_THREADS
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Monitor *self = (Monitor *)allocate(type, 0);
    if (self == NULL) {
        datastall_close(monitor);
        return NULL;
    }
    self->monitor = monitor;
    monitor_note_host(monitor, ds_now_ns());
    if (probe != NULL && probe != Py_None) {
        Py_INCREF(probe);
        self->probe = probe;
    }
    return (PyObject *)self;
}

static void monitor_dealloc(Monitor *self)
{
    datastall_close(self->monitor);
    Py_CLEAR(self->probe);
    standin_free((PyObject *)self);
}

/* The C monitor stays until the object goes: consumers in other threads may still hold loaders. */
static PyObject *monitor_finish(Monitor *self, PyObject *unused)
{
    (void)unused;
    stall_finish(self->monitor);
    if (self->monitor != NULL)
        monitor_note_host(self->monitor, ds_now_ns() + HOST_NOTES_NS);
    Py_BEGIN_ALLOW_THREADS
    monitor_end(self->monitor);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *monitor_loader(Monitor *self, PyObject *args, PyObject *kwargs);

/* A string for C: UTF-8, what cannot be encoded replaced, cut at a NUL. *bytes keeps it alive; None
 * and NULL give NULL. False with an error. */
static bool text_of(PyObject *object, PyObject **bytes, const char **text)
{
    *bytes = NULL;
    *text = NULL;
    if (object == NULL || object == Py_None)
        return true;
    *bytes = PyUnicode_AsEncodedString(object, "utf-8", "replace");
    if (*bytes != NULL)
        *text = PyBytes_AsString(*bytes);
    return *text != NULL;
}

static PyObject *monitor_stage(Monitor *self, PyObject *arg)
{
    PyObject *bytes;
    const char *name, *previous = "";
    if (!text_of(arg, &bytes, &name))
        return NULL;
    int error = datastall_stage_set(self->monitor, name, &previous);
    Py_XDECREF(bytes);
    if (error != DATASTALL_OK)
        previous = "";
    return PyUnicode_DecodeUTF8(previous, (Py_ssize_t)strlen(previous), "replace");
}

static PyObject *monitor_state(Monitor *self, PyObject *unused)
{
    (void)unused;
    int state = datastall_monitor_state(self->monitor);
    return PyUnicode_FromString(state == DATASTALL_OK           ? "recording"
                                : state == DATASTALL_ERR_FORKED ? "forked"
                                                                : "off");
}

static PyObject *monitor_path(Monitor *self, PyObject *unused)
{
    (void)unused;
    return PyUnicode_DecodeFSDefault(datastall_run_file(self->monitor));
}

static PyObject *monitor_accelerator(Monitor *self, PyObject *arg)
{
    int used = PyObject_IsTrue(arg);
    if (used < 0)
        return NULL;
    monitor_note_accelerator(self->monitor, used ? RF_ACCELERATOR_USED : RF_ACCELERATOR_NONE);
    if (used)
        stall_enable();
    Py_RETURN_NONE;
}

static PyObject *monitor_sample_gpus(Monitor *self, PyObject *arg)
{
    double interval_s = PyFloat_AsDouble(arg);
    if (interval_s == -1.0 && PyErr_Occurred())
        return NULL;
    int error = datastall_gpu_sampling_start(self->monitor, interval_s);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    Py_RETURN_NONE;
}

static PyMethodDef monitor_methods[] = {
    {"loader", (PyCFunction)(void (*)(void))monitor_loader, METH_VARARGS | METH_KEYWORDS,
     "The Loader with this identity, made on the first call."},
    {"stage", (PyCFunction)monitor_stage, METH_O,
     "Set the stage (None: none); returns the one before."},
    {"state", (PyCFunction)monitor_state, METH_NOARGS, "'recording', 'forked' or 'off'."},
    {"path", (PyCFunction)monitor_path, METH_NOARGS, "Path of the run file, '' in memory."},
    {"note_accelerator", (PyCFunction)monitor_accelerator, METH_O,
     "Say whether this process uses a GPU."},
    {"sample_gpus", (PyCFunction)monitor_sample_gpus, METH_O,
     "Sample the GPUs every given number of seconds."},
    {"finish", (PyCFunction)monitor_finish, METH_NOARGS,
     "Complete the run file; what is recorded later is ignored."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot monitor_slots[] = {
    {Py_tp_new, monitor_new},
    {Py_tp_dealloc, monitor_dealloc},
    {Py_tp_methods, monitor_methods},
    {Py_tp_doc, "A recording: one run file, or memory only. Raises OSError if it cannot be made."},
    {0, NULL}};
static PyType_Spec monitor_spec = {"datastall._core.Monitor", sizeof(Monitor), 0,
                                   Py_TPFLAGS_DEFAULT, monitor_slots};

/* ---- Loader ---- */

typedef struct {
    PyObject_HEAD Monitor *owner;
    datastall_loader *loader;
} Loader;

static PyObject *new_loader(Monitor *owner, const datastall_loader_options *options)
{
    datastall_loader *loader;
    int error = datastall_loader_register(owner->monitor, options, &loader);
    if (error != DATASTALL_OK)
        return raise_datastall(error);
    allocfunc allocate = (allocfunc)PyType_GetSlot(loader_type, Py_tp_alloc);
    Loader *result = (Loader *)allocate(loader_type, 0);
    if (result == NULL)
        return NULL;
    Py_INCREF(owner);
    result->owner = owner;
    result->loader = loader;
    return (PyObject *)result;
}

static PyObject *monitor_loader(Monitor *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "name",       "site",   "dataset_type", "identity", "num_workers", "prefetch_factor",
        "batch_size", "source", "flags",        NULL};
    datastall_loader_options options = DATASTALL_LOADER_OPTIONS_INIT;
    PyObject *objects[4] = {NULL}, *bytes[4] = {NULL}, *result = NULL;
    long long numbers[3] = {-1, -1, -1}; /* negative: unknown */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOOOLLLII:loader", names, &objects[0],
                                     &objects[1], &objects[2], &objects[3], &numbers[0],
                                     &numbers[1], &numbers[2], &options.source, &options.flags))
        return NULL;
    const char **const texts[4] = {&options.name, &options.site, &options.dataset_type,
                                   &options.identity};
    uint64_t *const counts[3] = {&options.num_workers, &options.prefetch_factor,
                                 &options.batch_size};
    bool ok = true;
    for (int i = 0; i < 4 && ok; i++)
        ok = text_of(objects[i], &bytes[i], texts[i]);
    for (int i = 0; i < 3; i++)
        *counts[i] = numbers[i] < 0 ? DATASTALL_UNKNOWN : (uint64_t)numbers[i];
    if (ok)
        result = new_loader(self, &options);
    for (int i = 0; i < 4; i++)
        Py_XDECREF(bytes[i]);
    return result;
}

static void loader_dealloc(Loader *self)
{
    Py_CLEAR(self->owner);
    standin_free((PyObject *)self);
}

/* The exposed stall of the iter() that this thread timed last, for the Loader.record() that follows
 * it. */
static _Thread_local struct stall_bounds iter_stall = {RF_UNKNOWN, RF_UNKNOWN};
static _Thread_local int iter_device; /* on which it was */
static _Thread_local uint64_t iter_sampler_ns;
static const struct stall_bounds unknown_stall = {RF_UNKNOWN, RF_UNKNOWN};

static PyObject *loader_record(Loader *self, PyObject *args)
{
    unsigned long long begin_ns, end_ns;
    int kind;
    if (!PyArg_ParseTuple(args, "KKi:record", &begin_ns, &end_ns, &kind))
        return NULL;
    struct wait_cause cause;
    feed_iter_cause(begin_ns, end_ns > begin_ns ? end_ns : begin_ns, iter_sampler_ns, &cause);
    iter_sampler_ns = 0;
    if (iter_stall.upper_ns != RF_UNKNOWN)
        monitor_slot_on_device(self->loader, iter_device);
    monitor_wait_record(self->loader, end_ns, end_ns > begin_ns ? end_ns - begin_ns : 0,
                        (enum datastall_wait_kind)kind, NULL, &iter_stall, &cause);
    iter_stall = unknown_stall;
    Py_RETURN_NONE;
}

datastall_loader *core_loader_of(PyObject *loader)
{
    if (Py_TYPE(loader) != loader_type) {
        PyErr_SetString(PyExc_TypeError, "a datastall._core.Loader is needed");
        return NULL;
    }
    return ((Loader *)loader)->loader;
}

static PyMethodDef loader_methods[] = {{"record", (PyCFunction)loader_record, METH_VARARGS,
                                        "record(begin_ns, end_ns, kind): a wait without a batch."},
                                       {NULL, NULL, 0, NULL}};
static PyType_Slot loader_slots[] = {
    {Py_tp_dealloc, loader_dealloc},
    {Py_tp_methods, loader_methods},
    {Py_tp_doc, "A loader of a Monitor; made by Monitor.loader()."},
    {0, NULL}};
static PyType_Spec loader_spec = {"datastall._core.Loader", sizeof(Loader), 0, Py_TPFLAGS_DEFAULT,
                                  loader_slots};

/* ---- Consumer: one iterator's recording ---- */

typedef struct {
    PyObject_HEAD Loader *loader;
    PyObject *measure; /* callable(batch), or NULL: look at the shapes */
    struct composition composition;
    bool first;
    bool fed;          /* it was tried to learn what feeds it */
    struct feed *feed; /* NULL: not known */
    uint64_t batches;
    uint64_t host_noted_ns;
} Consumer;

static PyObject *consumer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loader", "measure", NULL};
    PyObject *loader, *measure = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!|O:Consumer", names, loader_type, &loader,
                                     &measure))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Consumer *self = (Consumer *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(loader);
    self->loader = (Loader *)loader;
    if (measure != Py_None) {
        Py_INCREF(measure);
        self->measure = measure;
    }
    self->first = true;
    return (PyObject *)self;
}

static int consumer_traverse(Consumer *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->measure);
    return 0;
}

static int consumer_clear(Consumer *self)
{
    feed_close(self->feed);
    self->feed = NULL;
    Py_CLEAR(self->loader);
    Py_CLEAR(self->measure);
    return 0;
}

static void consumer_dealloc(Consumer *self)
{
    PyObject_GC_UnTrack(self);
    consumer_clear(self);
    standin_free((PyObject *)self);
}

static PyObject *feed_maker;

static PyObject *consumer_feed(Consumer *self, PyObject *args)
{
    struct feed_options options = {0};
    unsigned long long prefetch, epoch, begin_ns, pin_thread;
    uint64_t pids[FEED_WORKERS] = {0};
    PyObject *pid_tuple;
    int in_order;
    if (!PyArg_ParseTuple(args, "IKO!KKKp:feed", &options.workers, &prefetch, &PyTuple_Type,
                          &pid_tuple, &epoch, &begin_ns, &pin_thread, &in_order))
        return NULL;
    for (Py_ssize_t i = 0; i < PyTuple_Size(pid_tuple) && i < (Py_ssize_t)FEED_WORKERS; i++)
        pids[i] = PyLong_AsUnsignedLongLong(PyTuple_GetItem(pid_tuple, i));
    if (PyErr_Occurred())
        return NULL;
    options.prefetch_factor = prefetch;
    options.pids = pids;
    options.epoch = epoch;
    options.iter_begin_ns = begin_ns;
    options.pin_thread = pin_thread;
    options.in_order = in_order != 0;
    self->fed = true;
    if (self->feed == NULL && self->loader != NULL)
        self->feed = feed_open(self->loader->loader, &options);
    return PyBool_FromLong(self->feed != NULL);
}

static PyObject *consumer_epoch(Consumer *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(self->feed == NULL ? 0 : self->feed->epoch);
}

struct feed *core_feed_of(PyObject *consumer)
{
    return Py_TYPE(consumer) == consumer_type ? ((Consumer *)consumer)->feed : NULL;
}

datastall_monitor *core_monitor_of(PyObject *monitor)
{
    return Py_TYPE(monitor) == monitor_type ? ((Monitor *)monitor)->monitor : NULL;
}

static void learn_feed(Consumer *self, PyObject *iterator)
{
    self->fed = true;
    if (feed_maker == NULL || iterator == NULL)
        return;
    standin_hide();
    PyObject *answer = PyObject_CallFunctionObjArgs(feed_maker, (PyObject *)self, iterator, NULL);
    standin_show();
    Py_XDECREF(answer);
    errors_forget();
}

static PyMethodDef consumer_methods[] = {
    {"feed", (PyCFunction)consumer_feed, METH_VARARGS,
     "feed(workers, prefetch_factor, pids, epoch, iter_begin_ns, pin_thread, in_order) -> bool: "
     "say what feeds the iterator."},
    {"epoch", (PyCFunction)consumer_epoch, METH_NOARGS,
     "The epoch of its workers, from 1; 0: nothing is known of what feeds it."},
    {NULL, NULL, 0, NULL}};
static PyType_Slot consumer_slots[] = {{Py_tp_new, consumer_new},
                                       {Py_tp_dealloc, consumer_dealloc},
                                       {Py_tp_traverse, consumer_traverse},
                                       {Py_tp_clear, consumer_clear},
                                       {Py_tp_methods, consumer_methods},
                                       {Py_tp_doc, "Records what one iterator hands out."},
                                       {0, NULL}};
static PyType_Spec consumer_spec = {"datastall._core.Consumer", sizeof(Consumer), 0,
                                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, consumer_slots};

/* Says once in a process what went wrong in a measure(). */
static void say_measure_failed(void)
{
    static bool said;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *text = said || value == NULL ? NULL : PyObject_Repr(value);
    PyObject *bytes = text == NULL ? NULL : PyUnicode_AsEncodedString(text, "utf-8", "replace");
    if (bytes != NULL) {
        said = true;
        ds_say("measure() failed: %s; what its batches are made of is unknown",
               PyBytes_AsString(bytes));
    }
    errors_forget();
    Py_XDECREF(bytes);
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static void measure_by_callable(Consumer *self, PyObject *batch, datastall_batch *out)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(self->measure, batch, NULL);
    if (answer == NULL || !composition_from_answer(answer, out)) {
        *out = (datastall_batch)DATASTALL_BATCH_INIT;
        if (PyErr_ExceptionMatches(PyExc_Exception))
            say_measure_failed();
        else
            errors_forget(); /* kept, and raised when the batch is recorded */
    }
    Py_XDECREF(answer);
}

static void ask_probe(Monitor *monitor)
{
    standin_hide();
    PyObject *used = PyObject_CallFunctionObjArgs(monitor->probe, NULL);
    standin_show();
    if (used != NULL) {
        bool yes = PyObject_IsTrue(used) == 1;
        monitor_note_accelerator(monitor->monitor, yes ? RF_ACCELERATOR_USED : RF_ACCELERATOR_NONE);
        if (yes)
            stall_enable();
    }
    Py_XDECREF(used);
    errors_forget();
}

/* A batch came: looks at it and records. No error is set before or after. */
static void end_with_batch(Consumer *self, datastall_wait *wait, uint64_t end_ns, PyObject *batch,
                           const struct stall_bounds *stall, bool under_way)
{
    datastall_batch out = DATASTALL_BATCH_INIT;
    timed_depth++; /* whatever measure() iterates is not the program's waiting */
    if (self->measure != NULL)
        measure_by_callable(self, batch, &out);
    else
        composition_measure(&self->composition, batch, &out);
    enum datastall_wait_kind kind = self->first ? DATASTALL_WAIT_FIRST : DATASTALL_WAIT_STEADY;
    self->first = false;
    struct wait_cause cause;
    feed_wait_end(self->feed, end_ns, kind, &cause);
    cause.stall_is_under_way = under_way;
    monitor_wait_end(wait, end_ns, kind, &out, stall, &cause);
    /* At batches 1, 2, 4, 8 ...: a program may start to use the GPU after its first batch. */
    self->batches++;
    Monitor *monitor = self->loader->owner;
    if (end_ns - self->host_noted_ns > HOST_NOTES_NS) {
        self->host_noted_ns = end_ns;
        monitor_note_host(monitor->monitor, end_ns);
    }
    if ((self->batches & (self->batches - 1)) == 0 && monitor->probe != NULL)
        ask_probe(monitor);
    timed_depth--;
}

/* ---- exposed stall ---- */

/* torch._C._cuda_getCurrentRawStream(device): the consumer's current stream. */
static PyObject *stream_getter;
/* Whether the program uses a GPU: asked before an iterator is made, until it does. */
static PyObject *gpu_probe;

static bool stalls_can_be_told(void)
{
    if (stall_is_enabled())
        return true;
    if (gpu_probe == NULL)
        return false;
    standin_hide();
    PyObject *used = PyObject_CallFunctionObjArgs(gpu_probe, NULL);
    standin_show();
    bool yes = used == Py_True;
    Py_XDECREF(used);
    errors_forget();
    return yes && stall_enable();
}

struct stall_watch {
    struct monitor_slot *slot; /* NULL: nothing to watch */
    uint64_t stream;
    struct stall_mark mark;
};

/* The consumer's device and stream; false when it cannot be told, for an event on a wrong one could
 * hold others. */
static bool current_stream(uint64_t *stream, int *on_device)
{
    const int device = *on_device = stall_current_device();
    if (device < 0 || stream_getter == NULL)
        return false;
    PyObject *answer = PyObject_CallFunction(stream_getter, "i", device);
    unsigned long long value = answer != NULL ? PyLong_AsUnsignedLongLong(answer) : 0;
    Py_XDECREF(answer);
    *stream = value;
    if (PyErr_Occurred()) {
        errors_forget();
        return false;
    }
    return true;
}

/* For waits without a slot: making an iterator. */
static bool probe_begin(struct stall_mark *mark)
{
    uint64_t stream;
    if (!stalls_can_be_told() || !current_stream(&stream, &iter_device))
        return false;
    stall_probe_begin(stream, mark);
    return true;
}

static void stall_watch_begin(datastall_wait *wait, struct stall_watch *watch)
{
    int device;
    watch->slot = NULL;
    if (!stall_is_enabled() || !current_stream(&watch->stream, &device) ||
        !monitor_wait_on_device(wait, device))
        return;
    watch->slot = wait->slot;
    stall_begin(watch->slot, watch->stream, &watch->mark);
}

/* True: the stall becomes known later. */
static bool stall_watch_end(struct stall_watch *watch, const datastall_wait *wait, uint64_t end_ns,
                            struct stall_bounds *stall)
{
    stall->lower_ns = stall->upper_ns = RF_UNKNOWN;
    if (watch->slot == NULL || wait->loader == NULL)
        return false;
    const datastall_monitor *monitor = wait->loader->monitor;
    if (!monitor_is_recording(monitor)) /* forked while it waited */
        return false;
    return stall_end(watch->slot, watch->stream, &watch->mark,
                     end_ns > wait->begin_ns ? end_ns - wait->begin_ns : 0,
                     watch->slot->writer.head, (uint32_t)ds_load(&monitor->current_stage), stall);
}

/* next() of an iterator, timed. call(context) returns a new reference, or NULL with or without an
 * error (tp_iternext may say "no more" with neither). iterator: torch's, NULL for any other. */
static PyObject *timed_next(Consumer *self, PyObject *(*call)(void *context), void *context,
                            PyObject *iterator)
{
    if (timed_depth > 0 || self->loader == NULL)
        return call(context);
    Py_INCREF(self); /* the program may drop the iterator while it waits */
    if (!self->fed)
        learn_feed(self, iterator);
    struct stall_watch watch;
    datastall_wait wait = datastall_wait_begin(self->loader->loader);
    stall_watch_begin(&wait, &watch); /* inside the wait: the program waits for this as well */
    struct feeding_wait before = feeding_begin(self->feed, iterator, wait.begin_ns);
    timed_depth++;
    PyObject *batch = call(context);
    timed_depth--;
    uint64_t end_ns = ds_now_ns();
    feeding_end(before);
    struct stall_bounds stall;
    const bool under_way = stall_watch_end(&watch, &wait, end_ns, &stall);
    if (batch != NULL) {
        end_with_batch(self, &wait, end_ns, batch, &stall, under_way);
        if (errors_raise_kept()) { /* a signal handler raised while we looked at the batch */
            Py_DECREF(batch);
            batch = NULL;
        }
    } else {
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        bool no_more = type == NULL || PyErr_GivenExceptionMatches(type, PyExc_StopIteration);
        const enum datastall_wait_kind kind = no_more ? DATASTALL_WAIT_END : DATASTALL_WAIT_FAILED;
        struct wait_cause cause;
        feed_wait_end(self->feed, end_ns, kind, &cause);
        cause.stall_is_under_way = under_way;
        monitor_wait_end(&wait, end_ns, kind, NULL, &stall, &cause);
        PyErr_Restore(type, value, traceback);
    }
    Py_DECREF(self);
    return batch;
}

/* ---- Watch: an iterator around any iterator ---- */

typedef struct {
    PyObject_HEAD PyObject *iterator;
    Consumer *consumer;
} Watch;

static PyObject *watch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"iterator", "consumer", NULL};
    PyObject *iterator, *consumer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!:Watch", names, &iterator, consumer_type,
                                     &consumer))
        return NULL;
    if (!PyIter_Check(iterator)) {
        PyErr_SetString(PyExc_TypeError, "Watch needs an iterator");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Watch *self = (Watch *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    Py_INCREF(iterator);
    Py_INCREF(consumer);
    self->iterator = iterator;
    self->consumer = (Consumer *)consumer;
    return (PyObject *)self;
}

static int watch_traverse(Watch *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->iterator);
    Py_VISIT(self->consumer);
    return 0;
}

static int watch_clear(Watch *self)
{
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->consumer);
    return 0;
}

static void watch_dealloc(Watch *self)
{
    PyObject_GC_UnTrack(self);
    watch_clear(self);
    standin_free((PyObject *)self);
}

static PyObject *call_iterator(void *context)
{
    /* The slot itself, and not PyIter_Next(): that would drop what a generator returns. */
    PyObject *iterator = ((Watch *)context)->iterator;
    iternextfunc next = (iternextfunc)PyType_GetSlot(Py_TYPE(iterator), Py_tp_iternext);
    return next(iterator);
}

static PyObject *watch_next(Watch *self)
{
    if (self->iterator == NULL) /* being collected */
        return NULL;
    return timed_next(self->consumer, call_iterator, self, NULL);
}

static PyObject *watch_iter(PyObject *self)
{
    Py_INCREF(self);
    return self;
}

static PyObject *watch_getattr(Watch *self, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr((PyObject *)self, name);
    if (value == NULL && self->iterator != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        value = PyObject_GetAttr(self->iterator, name); /* close(), send() and the like */
    }
    return value;
}

static PyType_Slot watch_slots[] = {{Py_tp_new, watch_new},
                                    {Py_tp_dealloc, watch_dealloc},
                                    {Py_tp_traverse, watch_traverse},
                                    {Py_tp_clear, watch_clear},
                                    {Py_tp_iter, watch_iter},
                                    {Py_tp_iternext, watch_next},
                                    {Py_tp_getattro, watch_getattr},
                                    {Py_tp_doc, "An iterator whose next() is timed."},
                                    {0, NULL}};
static PyType_Spec watch_spec = {"datastall._core.Watch", sizeof(Watch), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, watch_slots};

/* ---- stand-ins for methods of torch's classes ---- */

struct next_call {
    Standin *self;
    PyObject *args;
};

static PyObject *call_original(void *context)
{
    struct next_call *call = context;
    return standin_call_method(call->self, call->args, NULL);
}

static PyObject *next_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (timed_depth > 0 || kwargs != NULL || PyTuple_Size(args) != 1)
        return standin_call_method(self, args, kwargs);
    PyObject *iterator = PyTuple_GetItem(args, 0);
    PyObject *consumer = beside_get(iterator);
    Py_XINCREF(consumer);
    if (consumer == NULL) { /* its making was not seen */
        standin_hide();
        consumer = PyObject_CallFunctionObjArgs(self->helper, iterator, NULL);
        standin_show();
        errors_forget();
    }
    if (errors_raise_kept()) {
        Py_XDECREF(consumer);
        return NULL;
    }
    if (consumer == NULL || Py_TYPE(consumer) != consumer_type) {
        Py_XDECREF(consumer);
        return standin_call_method(self, args, NULL);
    }
    struct next_call call = {self, args};
    PyObject *batch = timed_next((Consumer *)consumer, call_original, &call, iterator);
    Py_DECREF(consumer);
    return batch;
}

/* after(args, kwargs, result, begin_ns, end_ns), once the original returned. */
static PyObject *around_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (timed_depth > 0)
        return standin_call_method(self, args, kwargs);
    if (self->before != Py_None) {
        standin_hide();
        PyObject *done = PyObject_CallFunctionObjArgs(self->before, NULL);
        standin_show();
        Py_XDECREF(done);
        errors_forget();
        if (errors_raise_kept())
            return NULL;
    }
    struct stall_mark mark;
    bool watched = probe_begin(&mark);
    unsigned long long begin_ns = ds_now_ns();
    feeding_sampler_ns();
    timed_depth++;
    PyObject *result = standin_call_method(self, args, kwargs);
    timed_depth--;
    unsigned long long end_ns = ds_now_ns();
    if (result == NULL)
        return NULL;
    iter_sampler_ns = feeding_sampler_ns();
    iter_stall = unknown_stall;
    if (watched)
        stall_probe_end(&mark, end_ns - begin_ns, &iter_stall);
    timed_depth++;
    standin_hide();
    PyObject *answer = PyObject_CallFunction(
        self->helper, "OOOKK", args, kwargs != NULL ? kwargs : Py_None, result, begin_ns, end_ns);
    standin_show();
    timed_depth--;
    if (answer == NULL)
        errors_forget();
    Py_XDECREF(answer);
    if (errors_raise_kept())
        Py_CLEAR(result);
    return result;
}

static PyType_Slot next_slots[] = STANDIN_SLOTS(next_call, "Stands in for an iterator's __next__.");
static PyType_Slot around_slots[] =
    STANDIN_SLOTS(around_call, "Stands in for a method; calls helper after it.");
static PyType_Spec next_spec = STANDIN_SPEC("TimedNext", next_slots);
static PyType_Spec around_spec = STANDIN_SPEC("Around", around_slots);

/* ---- module ---- */

static PyObject *core_summary(PyObject *module, PyObject *arg)
{
    (void)module;
    PyObject *bytes;
    if (!PyUnicode_FSConverter(arg, &bytes))
        return NULL;
    PyObject *document = document_of_run(PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    return document;
}

/* iter(), timed: (iterator, begin_ns, end_ns); begin_ns is None inside another timed call. */
static PyObject *core_timed_iter(PyObject *module, PyObject *iterable)
{
    (void)module;
    if (timed_depth > 0) {
        PyObject *iterator = PyObject_GetIter(iterable);
        return iterator == NULL ? NULL : Py_BuildValue("(NOO)", iterator, Py_None, Py_None);
    }
    struct stall_mark mark;
    bool watched = probe_begin(&mark);
    unsigned long long begin_ns = ds_now_ns();
    feeding_sampler_ns();
    timed_depth++;
    PyObject *iterator = PyObject_GetIter(iterable);
    timed_depth--;
    unsigned long long end_ns = ds_now_ns();
    iter_sampler_ns = feeding_sampler_ns();
    iter_stall = unknown_stall;
    if (watched)
        stall_probe_end(&mark, end_ns - begin_ns, &iter_stall);
    return iterator == NULL ? NULL : Py_BuildValue("(NKK)", iterator, begin_ns, end_ns);
}

static PyObject *core_set_tensor_type(PyObject *module, PyObject *arg)
{
    (void)module;
    composition_set_tensor_type(arg);
    Py_RETURN_NONE;
}

static PyObject *core_set_gpu_questions(PyObject *module, PyObject *args)
{
    PyObject *streams, *probe;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:set_gpu_questions", &streams, &probe))
        return NULL;
    Py_INCREF(streams);
    Py_INCREF(probe);
    Py_XDECREF(stream_getter);
    Py_XDECREF(gpu_probe);
    stream_getter = streams;
    gpu_probe = probe;
    Py_RETURN_NONE;
}

static PyObject *core_set_feed_maker(PyObject *module, PyObject *maker)
{
    (void)module;
    Py_INCREF(maker);
    Py_XDECREF(feed_maker);
    feed_maker = maker;
    Py_RETURN_NONE;
}

static PyObject *core_note_side_stream(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    stall_note_side_stream();
    Py_RETURN_NONE;
}

/* Looks at the names of what is loaded: dlopen(RTLD_NOLOAD) would search the disk for what is not.
 */
static int is_gpu_driver(struct dl_phdr_info *object, size_t size, void *context)
{
    static const char *const drivers[] = {"libcuda.so", "libamdhip64.so", "libze_loader.so"};
    (void)size;
    (void)context;
    const char *slash = strrchr(object->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : object->dlpi_name;
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
        if (strncmp(name, drivers[i], strlen(drivers[i])) == 0)
            return 1;
    }
    return 0;
}

static PyObject *core_gpu_driver_is_loaded(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyBool_FromLong(dl_iterate_phdr(is_gpu_driver, NULL));
}

/* For `datastall doctor`: "ok", or why no stall events can be had in this thread's CUDA context. */
static PyObject *core_try_stall_events(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    struct stall_mark mark;
    struct stall_bounds stall;
    if (!stall_enable())
        return PyUnicode_FromString("the CUDA driver library lacks a function");
    if (stall_current_device() < 0)
        return PyUnicode_FromString("this thread has no CUDA context");
    stall_probe_begin(0, &mark);
    stall_probe_end(&mark, 1, &stall);
    return PyUnicode_FromString(stall.upper_ns == RF_UNKNOWN ? "a call of the driver failed"
                                                             : "ok");
}

static PyMethodDef core_functions[] = {
    {"try_stall_events", core_try_stall_events, METH_NOARGS,
     "'ok', or why the GPU cannot be asked what a wait cost it."},
    {"set_gpu_questions", core_set_gpu_questions, METH_VARARGS,
     "set_gpu_questions(stream_getter, probe): the current CUDA stream of a device; is a GPU "
     "used?"},
    {"set_feed_maker", core_set_feed_maker, METH_O,
     "set_feed_maker(maker): maker(consumer, iterator) tells what feeds an iterator."},
    {"note_side_stream", core_note_side_stream, METH_NOARGS,
     "The program has GPU work on streams of its own: stalls are upper bounds from now on."},
    {"gpu_driver_is_loaded", core_gpu_driver_is_loaded, METH_NOARGS,
     "Whether the process has loaded a CUDA, ROCm or Level Zero driver."},
    {"summary", core_summary, METH_O, "The document of a run folder (docs/json.md) as a dict."},
    {"timed_iter", core_timed_iter, METH_O, "iter(), timed: (iterator, begin_ns, end_ns)."},
    {"set_tensor_type", core_set_tensor_type, METH_O,
     "Tell torch.Tensor, whose memory may be read."},
    {NULL, NULL, 0, NULL}};
static struct PyModuleDef core_module = {PyModuleDef_HEAD_INIT,
                                         "datastall._core",
                                         "The recorder of datastall.",
                                         -1,
                                         core_functions,
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL};

static int add_type(PyObject *module, PyTypeObject **type, PyType_Spec *spec, const char *name)
{
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    if (*type == NULL)
        return -1;
    Py_INCREF(*type);
    return PyModule_AddObject(module, name, (PyObject *)*type);
}

PyMODINIT_FUNC PyInit__core(void); /* no header declares it */

PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&core_module);
    if (module == NULL)
        return NULL;
    bool ready = standin_prepare() && feeding_prepare();
    if (!ready || !composition_prepare() ||
        add_type(module, &monitor_type, &monitor_spec, "Monitor") < 0 ||
        add_type(module, &loader_type, &loader_spec, "Loader") < 0 ||
        add_type(module, &consumer_type, &consumer_spec, "Consumer") < 0 ||
        add_type(module, &watch_type, &watch_spec, "Watch") < 0 ||
        add_type(module, &next_type, &next_spec, "TimedNext") < 0 ||
        add_type(module, &around_type, &around_spec, "Around") < 0 || feeding_add(module) < 0 ||
        beside_add(module) < 0 || gpu_monitor_type_add(module) < 0 ||
        PyModule_AddStringConstant(module, "__version__", datastall_version()) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
