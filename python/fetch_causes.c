/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "fetch_causes.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fork_guard.h"
#include "base/hot.h"
#include "beside.h"
#include "consumer_type.h"
#include "errors.h"
#include "fetch_items.h"
#include "fingerprint.h"
#include "monitor_type.h"
#include "standin.h"
#include "tensor.h"
#include "thread.h"
#include "types.h"

static PyObject *name_collate;
static PyTypeObject *fetch_type, *collate_type;

/* The one of this process; made with its first fetcher. */
static struct worker *process_worker;
static bool asked_early; /* which worker it is, before that */

static bool worker_is_usable(const struct worker *worker)
{
    return worker != NULL && worker_is_ours(worker) && ds_load(&worker->lost) == 0;
}

static struct worker *open_worker(const datastall_monitor *parent, const char *folder,
                                  uint64_t parent_pid)
{
    if (parent != NULL && parent->writer->path != NULL)
        return worker_open_inherited(parent->writer);
    return folder != NULL ? worker_open_in_folder(folder, parent_pid) : NULL;
}

/* worker_epoch(monitor or None, folder or None, parent_pid, opened_ns) -> bool: a worker process begins an
 * epoch. monitor: the parent's, inherited; folder: where the parent's run file is; opened_ns: what making the
 * fetcher took. */
static PyObject *fetch_worker_epoch(PyObject *module, PyObject *args)
{
    PyObject *monitor;
    const char *folder;
    unsigned long long parent_pid, opened_ns;
    (void)module;
    if (!PyArg_ParseTuple(args, "OzKK:worker_epoch", &monitor, &folder, &parent_pid, &opened_ns))
        return NULL;
    /* Inherited from a process that is a worker itself: its memory stays, we make our own. */
    if (process_worker == NULL || !worker_is_ours(process_worker))
        process_worker = open_worker(monitor_type_inner(monitor), folder, parent_pid);
    if (!worker_is_usable(process_worker))
        Py_RETURN_FALSE;
    worker_epoch(process_worker, opened_ns);
    if (asked_early)
        worker_asked_which(process_worker);
    asked_early = false;
    Py_RETURN_TRUE;
}

/* worker_end(): a worker process ends. */
static PyObject *fetch_worker_end(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (worker_is_usable(process_worker))
        worker_finish(process_worker);
    Py_RETURN_NONE;
}

/* The attribute `id` of torch's WorkerInfo: only a data set of a stream that reads it can give each
 * worker a part of its own. Where the class has slots, `inner` is the one that it stands in for; else
 * the value stays in the object's __dict__. */
typedef struct {
    PyObject_HEAD PyObject *name, *inner;
} WorkerId;

static PyObject *worker_id_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *inner;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "O:WorkerId", &inner))
        return NULL;
    WorkerId *self = (WorkerId *)types_new(type);
    PyObject *name = PyUnicode_InternFromString("id");
    if (self == NULL || name == NULL) {
        Py_XDECREF(self);
        Py_XDECREF(name);
        return NULL;
    }
    self->name = name;
    if (inner != Py_None) {
        Py_INCREF(inner);
        self->inner = inner;
    }
    return (PyObject *)self;
}

static void worker_id_dealloc(WorkerId *self)
{
    Py_CLEAR(self->name);
    Py_CLEAR(self->inner);
    types_free((PyObject *)self);
}

static void note_question(void)
{
    struct worker *worker = process_worker;
    if (!worker_is_usable(worker))
        asked_early = true;
    else if (!worker->fetching || !worker->items_ended) /* not of the collation */
        worker_asked_which(worker);
}

static PyObject *kept_id(const WorkerId *self, PyObject *info, PyObject *type)
{
    if (self->inner != NULL) {
        const descrgetfunc get =
            (descrgetfunc)PyType_GetSlot(Py_TYPE(self->inner), Py_tp_descr_get);
        return get(self->inner, info, type);
    }
    PyObject *kept = info == NULL ? NULL : beside_attributes(info);
    PyObject *value = kept == NULL ? NULL : PyDict_GetItemWithError(kept, self->name);
    if (value == NULL && !PyErr_Occurred())
        PyErr_SetObject(PyExc_AttributeError, self->name);
    Py_XINCREF(value);
    return value;
}

static PyObject *worker_id_get(WorkerId *self, PyObject *info, PyObject *type)
{
    PyObject *value = kept_id(self, info, type);
    if (info != NULL && value != NULL)
        note_question();
    return value;
}

static int worker_id_set(WorkerId *self, PyObject *info, PyObject *value)
{
    if (self->inner != NULL) {
        const descrsetfunc set =
            (descrsetfunc)PyType_GetSlot(Py_TYPE(self->inner), Py_tp_descr_set);
        return set(self->inner, info, value);
    }
    PyObject *kept = beside_attributes(info);
    if (kept == NULL) {
        PyErr_SetObject(PyExc_AttributeError, self->name);
        return -1;
    }
    return value == NULL ? PyDict_DelItem(kept, self->name)
                         : PyDict_SetItem(kept, self->name, value);
}

/* worker_asked(): whether the data set asks which worker it is in cannot be seen, or it is told. */
static PyObject *fetch_worker_asked(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (worker_is_usable(process_worker))
        worker_asked_which(process_worker);
    Py_RETURN_NONE;
}

/* Tensors in a batch of the kinds that collation makes, to some depth and number of objects; and their bytes, as
 * far as they can be told. */
#define MOST_OBJECTS 4096u
#define MOST_MEASURED 64
struct tensor_count {
    uint64_t tensors, bytes;
    uint32_t objects;                   /* looked at */
    bool is_partial;                    /* something was not, that may be large */
    struct tensor_questions *questions; /* NULL: bytes are not wanted */
};

static void count_tensor(PyObject *tensor, struct tensor_count *count)
{
    struct tensor_memory memory;
    count->tensors++;
    if (count->questions == NULL || count->tensors > MOST_MEASURED) {
        count->is_partial = true;
        return;
    }
    const struct tensor_shape shape = tensor_shape(count->questions, tensor);
    if (shape.dimensions >= 0 && tensor_memory(count->questions, tensor, &shape, NULL, &memory))
        count->bytes += shape.elements * memory.element_bytes;
    else
        count->is_partial = true;
}

/* What is pickled, and small. */
static bool is_plain_value(PyObject *data)
{
    return data == Py_None || PyLong_CheckExact(data) || PyFloat_CheckExact(data) ||
           PyBool_Check(data) || PyUnicode_CheckExact(data) || PyBytes_CheckExact(data);
}

static void count_tensors(PyObject *data, int depth, struct tensor_count *count)
{
    if (count->objects++ >= MOST_OBJECTS) {
        count->is_partial = true;
    } else if (tensor_is_plain(data)) {
        count_tensor(data, count);
    } else if (is_plain_value(data)) {
        return;
    } else if (depth == 0) {
        count->is_partial = true;
    } else if (PyList_CheckExact(data)) {
        for (Py_ssize_t i = 0; i < PyList_Size(data) && count->objects <= MOST_OBJECTS; i++)
            count_tensors(PyList_GetItem(data, i), depth - 1, count);
    } else if (PyTuple_CheckExact(data)) {
        for (Py_ssize_t i = 0; i < PyTuple_Size(data) && count->objects <= MOST_OBJECTS; i++)
            count_tensors(PyTuple_GetItem(data, i), depth - 1, count);
    } else if (PyDict_CheckExact(data)) {
        PyObject *key, *value;
        Py_ssize_t place = 0;
        while (count->objects <= MOST_OBJECTS && PyDict_Next(data, &place, &key, &value))
            count_tensors(value, depth - 1, count);
    } else {
        count->is_partial = true;
    }
}

static struct tensor_count measure(PyObject *batch, bool with_bytes)
{
    struct tensor_questions questions = {.disabled = NULL};
    struct tensor_count count = {.questions = with_bytes ? &questions : NULL};
    count_tensors(batch, 3, &count);
    tensor_questions_end(&questions);
    return count;
}

/* What the loop made for itself: how large it is tells what handing it over by workers would cost; a part of it
 * would tell too little. */
static __attribute__((noinline)) void measure_own(struct worker *worker, PyObject *batch)
{
    const struct tensor_count count = measure(batch, true);
    worker_measured(worker, count.is_partial ? 0 : count.bytes);
}

/* The thread that sends. */
static _Thread_local struct {
    uint64_t fork_generation, delay_ns;
    int schedstat;
} sender;

static void open_sender(void)
{
    if (ds_fork_same_process(sender.fork_generation))
        return;
    sender.schedstat = host_schedstat_open();
    sender.delay_ns = host_delay_read(sender.schedstat);
    sender.fork_generation = ds_fork_generation();
}

/* How long it waited for a CPU since this was last asked. */
static uint64_t waited_for_cpu_ns(void)
{
    const uint64_t before_ns = sender.delay_ns;
    sender.delay_ns = host_delay_read(sender.schedstat);
    return sender.delay_ns - before_ns;
}

/* Pickling of what a queue sends, in the thread that does it. A batch is (index, data). */
static PyObject *dumps_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    struct worker *worker = process_worker;
    PyObject *message = PyTuple_Size(args) > 1 ? PyTuple_GetItem(args, 1) : NULL;
    if (!worker_is_usable(worker) || message == NULL || !PyTuple_CheckExact(message) ||
        PyTuple_Size(message) < 2 || !PyLong_CheckExact(PyTuple_GetItem(message, 0)) ||
        (uint64_t)syscall(SYS_gettid) == worker->pid)
        return PyObject_Call(self->original, args, kwargs);
    const struct tensor_count count =
        measure(PyTuple_GetItem(message, 1), worker_wants_tensor_bytes(worker));
    struct worker_message sent = {.tensors = count.tensors, .tensor_bytes = count.bytes};
    open_sender();
    const uint64_t begin_ns = ds_now_ns(), cpu_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
    PyObject *bytes = PyObject_Call(self->original, args, kwargs);
    sent.wall_ns = ds_now_ns() - begin_ns;
    sent.cpu_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
    sent.delay_ns = waited_for_cpu_ns(); /* also until its turn came */
    sent.lost = bytes == NULL;
    if (bytes != NULL && (PyMemoryView_Check(bytes) || PyBytes_Check(bytes)))
        sent.bytes = (uint64_t)PyObject_Size(bytes);
    worker_pickled(worker, &sent);
    return bytes;
}

/* How a fetcher's work is cut into items and collation. */
enum fetch_mode {
    FETCH_EACH, /* it iterates over the indices: each step is an item */
    FETCH_ALL,  /* __getitems__: one call for all */
    FETCH_ONE   /* no batching: the one item is the batch */
};

typedef struct {
    PyObject_HEAD PyObject *consumer; /* of the loop whose process this is; NULL: a worker */
    PyObject *collate; /* the stand-in for its collate_fn used last, NULL: none yet */
    int mode;
    bool is_stream;
    uint32_t fingerprints; /* taken of this epoch */
} Fetch;

static PyObject *fetch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    int mode, is_stream = 0;
    PyObject *consumer = Py_None;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "i|Op:Fetch", &mode, &consumer, &is_stream))
        return NULL;
    Fetch *self = (Fetch *)types_new(type);
    if (self == NULL)
        return NULL;
    self->mode = mode;
    self->is_stream = is_stream != 0;
    if (consumer != Py_None) {
        Py_INCREF(consumer);
        self->consumer = consumer;
    }
    return (PyObject *)self;
}

static int fetch_traverse(Fetch *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->consumer);
    Py_VISIT(self->collate);
    return 0;
}

static int fetch_clear(Fetch *self)
{
    Py_CLEAR(self->consumer);
    Py_CLEAR(self->collate);
    return 0;
}

static void fetch_dealloc(Fetch *self)
{
    PyObject_GC_UnTrack(self);
    fetch_clear(self);
    types_free((PyObject *)self);
}

DS_EACH_WAIT static const struct feed *feed_of(PyObject *consumer)
{
    const Consumer *known = consumer_type_cast(consumer);
    return known == NULL ? NULL : known->feed;
}

/* Who records what this fetcher does now; NULL: nobody. */
DS_EACH_WAIT static struct worker *worker_of_fetch(const Fetch *fetch, const struct thread *here)
{
    struct worker *worker = NULL;
    if (fetch->consumer == NULL)
        worker = process_worker;
    else if (here->feed != NULL && feed_of(fetch->consumer) == here->feed)
        worker = here->feed->own;
    return worker_is_usable(worker) ? worker : NULL;
}

/* What is kept beside the fetcher that a fetch() is called for, with its worker. */
DS_EACH_WAIT static Fetch *fetch_of_call(PyObject *const *args, size_t flagged_count,
                                         PyObject *names, const struct thread *here,
                                         struct worker **worker)
{
    if (here->fetch_depth > 0 || names != NULL || standin_count(flagged_count) != 2)
        return NULL;
    PyObject *kept = beside_get(args[0]);
    if (kept == NULL || Py_TYPE(kept) != fetch_type)
        return NULL;
    *worker = worker_of_fetch((Fetch *)kept, here);
    return *worker == NULL ? NULL : (Fetch *)kept;
}

/* Where items do not show one by one, the call of collate_fn tells when they are all there: a
 * stand-in takes its place for as long as fetch() runs. False: the fetcher is untouched. */
DS_HOT static bool stand_in_for_collate(Fetch *fetch, PyObject *fetcher)
{
    PyObject *attributes = beside_attributes(fetcher),
             *collate = beside_held(fetcher, name_collate);
    if (fetch->mode == FETCH_EACH || collate == NULL || Py_TYPE(collate) == collate_type)
        return false;
    if (fetch->collate == NULL || ((Standin *)fetch->collate)->original != collate) {
        Py_XDECREF(fetch->collate);
        fetch->collate = PyObject_CallFunctionObjArgs(
            (PyObject *)collate_type, collate, fetch->mode == FETCH_ONE ? Py_True : Py_False, NULL);
    }
    if (fetch->collate == NULL || PyDict_SetItem(attributes, name_collate, fetch->collate) < 0) {
        errors_forget();
        return false;
    }
    return true;
}

/* With or without an error set, which stays. */
DS_HOT static void put_collate_back(const Fetch *fetch, PyObject *fetcher)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (beside_held(fetcher, name_collate) == fetch->collate &&
        PyDict_SetItem(beside_attributes(fetcher), name_collate,
                       ((Standin *)fetch->collate)->original) < 0)
        errors_forget();
    PyErr_Restore(type, value, traceback);
}

/* The original, with what tells items from collation around it. */
DS_HOT static PyObject *fetch_in_parts(Standin *self, PyObject *const *args, Fetch *fetch,
                                       struct worker *worker)
{
    PyObject *fetcher = args[0], *indices = args[1], *items = NULL;
    if (fetch->mode == FETCH_EACH && (PyList_CheckExact(indices) || PyTuple_CheckExact(indices))) {
        items = fetch_items_new(indices, worker);
        errors_forget();
    }
    PyObject *const told[] = {fetcher, items != NULL ? items : indices};
    const bool stands_in = stand_in_for_collate(fetch, fetcher);
    PyObject *result = standin_call_row(self, told, 2, NULL);
    if (stands_in)
        put_collate_back(fetch, fetcher);
    Py_XDECREF(items);
    return result;
}

static enum rf_worker_outcome outcome_of_error(void)
{
    if (PyErr_ExceptionMatches(PyExc_StopIteration))
        return RF_BATCH_END;
    return PyErr_ExceptionMatches(PyExc_Exception) ? RF_BATCH_FAILED : RF_BATCH_INTERRUPTED;
}

/* How many items torch asks a map for; 0: it does not say. */
DS_EACH_WAIT static uint64_t items_of(const Fetch *fetch, PyObject *indices)
{
    if (fetch->mode == FETCH_ONE)
        return 1;
    return PyList_CheckExact(indices) ? (uint64_t)PyList_Size(indices) : 0;
}

/* The index of the only item that is asked for; RF_UNKNOWN: none such, or no number. */
DS_EACH_WAIT static uint64_t only_index(PyObject *indices)
{
    if (PyList_CheckExact(indices) && PyList_Size(indices) == 1)
        indices = PyList_GetItem(indices, 0);
    const long long index = PyLong_CheckExact(indices) ? PyLong_AsLongLong(indices) : -1;
    errors_forget();
    return index < 0 ? RF_UNKNOWN : (uint64_t)index;
}

/* Where the loop's own process loads, and its waits are short, nothing is asked of most batches. */
DS_EACH_WAIT static bool is_left_out(const Fetch *fetch, const struct feed *feed,
                                     struct worker *worker, PyObject *indices)
{
    return fetch->consumer != NULL && !fetch->is_stream && feed->quiet &&
           items_of(fetch, indices) > 0 && worker_leaves_out(worker);
}

DS_EACH_WAIT static PyObject *fetch_left_out(Standin *self, PyObject *const *args,
                                             size_t flagged_count, const Fetch *fetch,
                                             struct worker *worker)
{
    const uint64_t items = items_of(fetch, args[1]), index = only_index(args[1]);
    const uint64_t begin_ns = worker_begin_left_out(worker);
    PyObject *result = standin_call_row(self, args, flagged_count, NULL);
    worker_end_left_out(worker, begin_ns, items, index,
                        DS_MOSTLY(result != NULL) ? RF_BATCH_MADE : outcome_of_error());
    return result;
}

DS_HOT static __attribute__((noinline)) PyObject *
fetch_recorded(Standin *self, PyObject *const *args, Fetch *fetch, struct worker *worker)
{
    worker_begin(worker);
    PyObject *result = fetch_in_parts(self, args, fetch, worker);
    const enum rf_worker_outcome outcome = result != NULL ? RF_BATCH_MADE : outcome_of_error();
    if (fetch->mode == FETCH_ALL && result != NULL)
        worker->items = items_of(fetch, args[1]);
    worker_end(worker, outcome);
    if (fetch->consumer != NULL && result != NULL && worker_wants_own_tensor_bytes(worker))
        measure_own(worker, result);
    if (fetch->consumer == NULL && fetch->is_stream && fetch->fingerprints < 2 && result != NULL)
        worker_fingerprint(worker, fetch->fingerprints++, fingerprint_of(result));
    return result;
}

DS_EACH_WAIT static PyObject *fetch_call(PyObject *callable, PyObject *const *args,
                                         size_t flagged_count, PyObject *names)
{
    Standin *self = (Standin *)callable;
    struct worker *worker = NULL;
    struct thread *const here = DS_KEPT(&thread);
    Fetch *fetch = fetch_of_call(args, flagged_count, names, here, &worker);
    if (DS_SELDOM(fetch == NULL))
        return standin_call_row(self, args, flagged_count, names);
    Py_INCREF(fetch); /* the program may drop the fetcher meanwhile */
    here->fetch_depth++;
    here->fetching = worker;
    PyObject *result = DS_MOSTLY(is_left_out(fetch, here->feed, worker, args[1]))
                           ? fetch_left_out(self, args, flagged_count, fetch, worker)
                           : fetch_recorded(self, args, fetch, worker);
    here->fetching = NULL;
    here->fetch_depth--;
    Py_DECREF(fetch);
    return result;
}

/* Before collate_fn, where the items do not show when they are all there. */
DS_HOT static PyObject *collate_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    struct worker *worker = thread.fetching;
    if (worker != NULL && worker->fetching && !worker->items_ended) {
        if (self->helper == Py_True) /* one item, one batch */
            worker_item(worker, ds_now_ns(), RF_UNKNOWN);
        worker_items_end(worker);
    }
    return PyObject_Call(self->original, args, kwargs);
}

STANDIN_ROW_NEW(timed_fetch_new, fetch_call)
static PyType_Slot timed_fetch_slots[] =
    STANDIN_ROW_SLOTS(timed_fetch_new, "Stands in for a fetcher's fetch().");
static PyType_Slot collate_slots[] = STANDIN_SLOTS(collate_call, "Stands in for a collate_fn.");
static PyType_Slot dumps_slots[] =
    STANDIN_SLOTS(dumps_call, "Stands in for ForkingPickler.dumps() in a worker.");
static PyType_Slot worker_id_slots[] = {
    {Py_tp_new, worker_id_new},
    {Py_tp_dealloc, worker_id_dealloc},
    {Py_tp_descr_get, worker_id_get},
    {Py_tp_descr_set, worker_id_set},
    {Py_tp_doc, "The id of a WorkerInfo; notes that it was read."},
    {0, NULL}};
static PyType_Spec worker_id_spec = {"datastall._core.WorkerId", sizeof(WorkerId), 0,
                                     Py_TPFLAGS_DEFAULT, worker_id_slots};
static PyType_Spec dumps_spec = STANDIN_SPEC("TimedDumps", dumps_slots);
static PyType_Spec timed_fetch_spec = STANDIN_ROW_SPEC("TimedFetch", timed_fetch_slots);
static PyType_Spec collate_spec = STANDIN_SPEC("Collate", collate_slots);

static PyType_Slot fetch_slots[] = {
    {Py_tp_new, fetch_new},
    {Py_tp_dealloc, fetch_dealloc},
    {Py_tp_traverse, fetch_traverse},
    {Py_tp_clear, fetch_clear},
    {Py_tp_doc, "What is kept beside a fetcher: how its work is recorded."},
    {0, NULL}};
static PyType_Spec fetch_spec = {"datastall._core.Fetch", sizeof(Fetch), 0,
                                 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, fetch_slots};

static PyMethodDef functions[] = {
    {"worker_epoch", fetch_worker_epoch, METH_VARARGS,
     "worker_epoch(monitor, folder, parent_pid, opened_ns) -> bool: a worker begins an epoch."},
    {"worker_asked", fetch_worker_asked, METH_NOARGS,
     "worker_asked(): the data set asks which worker it is in, or that cannot be seen."},
    {"worker_end", fetch_worker_end, METH_NOARGS, "worker_end(): a worker process ends."},
    {NULL, NULL, 0, NULL}};

int fetch_causes_add(PyObject *module)
{
    name_collate = PyUnicode_InternFromString("collate_fn");
    if (name_collate == NULL || types_add(module, &timed_fetch_spec, NULL) < 0 ||
        types_add(module, &dumps_spec, NULL) < 0 || types_add(module, &worker_id_spec, NULL) < 0 ||
        types_add(module, &collate_spec, &collate_type) < 0 ||
        types_add(module, &fetch_spec, &fetch_type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
