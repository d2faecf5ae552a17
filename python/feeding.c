#define PY_SSIZE_T_CLEAN
#include "feeding.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "beside.h"
#include "errors.h"
#include "record/pin_threads.h"
#include "standin.h"

/* The CPU time of taking a batch off the queue is asked for at each so manieth. */
#define GET_CPU_EVERY 8u

static PyObject *name_received, *name_sent, *name_tasks, *name_collate;
static PyTypeObject *fetch_type, *items_type, *collate_type;

static _Thread_local struct feeding_wait current;
static _Thread_local uint64_t sampler_ns;
static _Thread_local int fetch_depth, pin_depth;

/* ---- the loop's side ---- */

/* What an object holds under this name, borrowed; NULL, without an error: nothing. Not by asking for
 * the attribute: its class may be somebody's, and do something then. */
static PyObject *held(PyObject *object, PyObject *name)
{
    PyObject *attributes = beside_attributes(object);
    PyObject *value = attributes == NULL ? NULL : PyDict_GetItemWithError(attributes, name);
    errors_forget();
    return value;
}

static bool number_of(PyObject *object, PyObject *name, uint64_t *number)
{
    PyObject *value = held(object, name);
    const long long got = value != NULL && PyLong_Check(value) ? PyLong_AsLongLong(value) : -1;
    errors_forget();
    *number = (uint64_t)got;
    return got >= 0;
}

/* The worker that has task `index`: _task_info[index] is (worker,) or (worker, data). */
static uint32_t worker_of(PyObject *tasks, uint64_t index)
{
    PyObject *key = PyLong_FromUnsignedLongLong(index);
    PyObject *task =
        key != NULL && PyDict_CheckExact(tasks) ? PyDict_GetItemWithError(tasks, key) : NULL;
    PyObject *worker = task != NULL && PyTuple_Check(task) && PyTuple_Size(task) > 0
                           ? PyTuple_GetItem(task, 0)
                           : NULL;
    const long number = worker != NULL && PyLong_Check(worker) ? PyLong_AsLong(worker) : -1;
    Py_XDECREF(key);
    errors_forget();
    return number >= 0 && number < (long)FEED_WORKERS ? (uint32_t)number : FEED_NO_ENTRY;
}

struct feeding_wait feeding_begin(struct feed *feed, PyObject *iterator, uint64_t now_ns)
{
    const struct feeding_wait before = current;
    current = (struct feeding_wait){NULL, NULL};
    if (feed == NULL || iterator == NULL || !ds_fork_same_process(feed->fork_generation))
        return before;
    uint64_t next = 0, sent = 0;
    if (feed->workers > 0) {
        if (!number_of(iterator, name_received, &next) || !number_of(iterator, name_sent, &sent))
            return before;
        if (sent < feed->sent_until) /* an epoch began that nobody told of */
            feed_next_epoch(feed);
        if (feed->sent_until < sent) {
            PyObject *tasks = held(iterator, name_tasks);
            while (tasks != NULL && feed->sent_until < sent)
                feed_sent(feed, feed->sent_until, worker_of(tasks, feed->sent_until));
        }
    }
    feed_wait_begin(feed, now_ns, next, sent);
    current = (struct feeding_wait){feed, iterator};
    return before;
}

void feeding_end(struct feeding_wait before)
{
    current = before;
}

uint64_t feeding_sampler_ns(void)
{
    const uint64_t ns = sampler_ns;
    sampler_ns = 0;
    return ns;
}

/* The wait under way, if args begin with its iterator. */
static struct feed *feed_of_call(PyObject *args)
{
    if (current.feed == NULL || PyTuple_Size(args) < 1 ||
        PyTuple_GetItem(args, 0) != current.iterator ||
        !ds_fork_same_process(current.feed->fork_generation))
        return NULL;
    return current.feed;
}

/* What _try_get_data() returned: (True, (index, data)); index is a number for batches only. */
static void note_arrival(struct feed *feed, PyObject *iterator, PyObject *result, uint64_t now_ns)
{
    if (!PyTuple_Check(result) || PyTuple_Size(result) != 2 ||
        PyTuple_GetItem(result, 0) != Py_True)
        return;
    PyObject *message = PyTuple_GetItem(result, 1);
    PyObject *first =
        PyTuple_Check(message) && PyTuple_Size(message) > 0 ? PyTuple_GetItem(message, 0) : NULL;
    uint64_t next;
    if (first == NULL || !PyLong_Check(first) || !number_of(iterator, name_received, &next))
        return;
    const long long index = PyLong_AsLongLong(first);
    PyObject *tasks = held(iterator, name_tasks);
    errors_forget();
    if (index >= 0 && tasks != NULL) {
        const uint32_t worker = worker_of(tasks, (uint64_t)index);
        while (feed->sent_until <= (uint64_t)index) /* handed out during this very wait */
            feed_sent(feed, feed->sent_until, worker_of(tasks, feed->sent_until));
        feed_arrived(feed, (uint64_t)index, worker, (uint64_t)index == next, now_ns);
    }
}

static PyObject *get_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    struct feed *feed = feed_of_call(args);
    if (feed == NULL)
        return standin_call_method(self, args, kwargs);
    const bool ask_cpu = feed->gets++ % GET_CPU_EVERY == 0;
    const uint64_t cpu_ns = ask_cpu ? ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) : 0;
    PyObject *result = standin_call_method(self, args, kwargs);
    const uint64_t now_ns = ds_now_ns();
    /* The wait may have ended meanwhile, in a signal handler that iterates. */
    if (result == NULL || feed_of_call(args) != feed)
        return result;
    if (ask_cpu) {
        feed->get_cpu_ns += ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
        feed->get_cpu_batches++;
    }
    note_arrival(feed, PyTuple_GetItem(args, 0), result, now_ns);
    return result;
}

static PyObject *sampler_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    const uint64_t begin_ns = ds_now_ns();
    PyObject *index = standin_call_method(self, args, kwargs);
    const uint64_t end_ns = ds_now_ns();
    sampler_ns += end_ns - begin_ns;
    struct feed *feed = feed_of_call(args);
    if (feed != NULL)
        feed_laid_over(feed, begin_ns, end_ns, CAUSE_SAMPLER);
    return index;
}

/* pin_memory() calls itself for what is inside a batch: the outermost call counts. */
static PyObject *pin_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    if (pin_depth > 0)
        return PyObject_Call(self->original, args, kwargs);
    pin_depth++;
    const uint64_t begin_ns = ds_now_ns();
    PyObject *pinned = PyObject_Call(self->original, args, kwargs);
    const uint64_t end_ns = ds_now_ns();
    pin_depth--;
    if (current.feed == NULL)
        pin_threads_note(begin_ns, end_ns);
    else if (ds_fork_same_process(current.feed->fork_generation))
        feed_laid_over(current.feed, begin_ns, end_ns, CAUSE_PIN);
    return pinned;
}

/* helper(args, kwargs, result) once the original returned; in every process and at every depth. */
static PyObject *after_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    PyObject *result = PyObject_Call(self->original, args, kwargs);
    if (result == NULL)
        return NULL;
    standin_hide();
    PyObject *answer = PyObject_CallFunctionObjArgs(
        self->helper, args, kwargs != NULL ? kwargs : Py_None, result, NULL);
    standin_show();
    if (answer == NULL)
        errors_forget();
    Py_XDECREF(answer);
    if (errors_raise_kept())
        Py_CLEAR(result);
    return result;
}

/* ---- the worker's side ---- */

/* The one of this process; made with its first fetcher. */
static struct worker *process_worker;

static bool worker_is_usable(const struct worker *worker)
{
    return worker != NULL && worker_is_ours(worker) && ds_load(&worker->lost) == 0;
}

/* worker_epoch(monitor or None, folder or None, parent_pid) -> bool: a worker process begins an
 * epoch. monitor: the parent's, inherited; folder: where the parent's run file is. */
static PyObject *feeding_worker_epoch(PyObject *module, PyObject *args)
{
    PyObject *monitor;
    const char *folder;
    unsigned long long parent_pid;
    (void)module;
    if (!PyArg_ParseTuple(args, "OzK:worker_epoch", &monitor, &folder, &parent_pid))
        return NULL;
    if (process_worker != NULL && !worker_is_ours(process_worker)) {
        /* Inherited from a process that is a worker itself: its memory stays, we make our own. */
        process_worker = NULL;
    }
    if (process_worker == NULL) {
        datastall_monitor *parent = core_monitor_of(monitor);
        if (parent != NULL && parent->writer->path != NULL)
            process_worker = worker_open_inherited(parent->writer);
        else if (folder != NULL)
            process_worker = worker_open_in_folder(folder, parent_pid);
    }
    if (!worker_is_usable(process_worker))
        Py_RETURN_FALSE;
    worker_epoch(process_worker);
    Py_RETURN_TRUE;
}

/* worker_end(): a worker process ends. */
static PyObject *feeding_worker_end(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    if (worker_is_usable(process_worker))
        worker_finish(process_worker);
    Py_RETURN_NONE;
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
    const uint64_t begin_ns = ds_now_ns(), cpu_ns = ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID);
    PyObject *bytes = PyObject_Call(self->original, args, kwargs);
    worker_pickled(worker, ds_now_ns() - begin_ns,
                   ds_clock_ns_of(CLOCK_THREAD_CPUTIME_ID) - cpu_ns);
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
} Fetch;

static PyObject *fetch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    int mode;
    PyObject *consumer = Py_None;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "i|O:Fetch", &mode, &consumer))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Fetch *self = (Fetch *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->mode = mode;
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
    standin_free((PyObject *)self);
}

/* Iterates over a batch's indices and notes when the next one is asked for: then the item of the
 * one before is there. Nothing else is changed: what the data set sees are the indices
 * themselves. */
typedef struct {
    PyObject_HEAD PyObject *indices; /* a list or a tuple */
    struct worker *worker;
    Py_ssize_t next;
} Items;

static uint64_t index_of(const Items *self, Py_ssize_t place)
{
    PyObject *index = PyList_Check(self->indices) ? PyList_GetItem(self->indices, place)
                                                  : PyTuple_GetItem(self->indices, place);
    if (index == Py_None) /* an iterable data set: count */
        return self->worker->totals[RF_TOTAL_ITEMS] + self->worker->items;
    if (index == NULL || !PyLong_Check(index)) {
        errors_forget();
        return RF_UNKNOWN;
    }
    const long long value = PyLong_AsLongLong(index);
    if (value == -1 && PyErr_Occurred())
        errors_forget();
    return value < 0 ? RF_UNKNOWN : (uint64_t)value;
}

static Py_ssize_t items_length(Items *self)
{
    return PyObject_Size(self->indices);
}

static PyObject *items_iter(Items *self)
{
    self->next = 0;
    Py_INCREF(self);
    return (PyObject *)self;
}

static PyObject *items_next(Items *self)
{
    struct worker *worker = self->worker;
    const bool list = PyList_Check(self->indices);
    const Py_ssize_t count = list ? PyList_Size(self->indices) : PyTuple_Size(self->indices);
    if (worker->fetching && !worker->items_ended) {
        const uint64_t now_ns = ds_now_ns();
        if (self->next == 0)
            worker->item_begin_ns = now_ns;
        else if (self->next <= count)
            worker_item(worker, now_ns,
                        worker_is_slow(worker, now_ns - worker->item_begin_ns)
                            ? index_of(self, self->next - 1)
                            : RF_UNKNOWN);
        if (self->next >= count)
            worker_items_end(worker);
    }
    if (self->next >= count) {
        self->next = count + 1;
        return NULL;
    }
    PyObject *index = list ? PyList_GetItem(self->indices, self->next)
                           : PyTuple_GetItem(self->indices, self->next);
    self->next++;
    Py_XINCREF(index);
    return index;
}

static PyObject *items_repr(Items *self) /* for who prints the locals of a traceback */
{
    return PyObject_Repr(self->indices);
}

static void items_dealloc(Items *self)
{
    Py_CLEAR(self->indices);
    standin_free((PyObject *)self);
}

static PyObject *new_items(PyObject *indices, struct worker *worker)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(items_type, Py_tp_alloc);
    Items *items = (Items *)allocate(items_type, 0);
    if (items == NULL)
        return NULL;
    Py_INCREF(indices);
    items->indices = indices;
    items->worker = worker;
    return (PyObject *)items;
}

static _Thread_local struct worker *fetching; /* whose fetch() this thread is in */

/* Who records what this fetcher does now; NULL: nobody. */
static struct worker *worker_of_fetch(const Fetch *fetch)
{
    struct worker *worker = NULL;
    if (fetch->consumer == NULL)
        worker = process_worker;
    else if (current.feed != NULL && core_feed_of(fetch->consumer) == current.feed)
        worker = current.feed->own;
    return worker_is_usable(worker) ? worker : NULL;
}

/* What is kept beside the fetcher that a fetch() is called for, with its worker. */
static Fetch *fetch_of_call(PyObject *args, PyObject *kwargs, struct worker **worker)
{
    if (fetch_depth > 0 || kwargs != NULL || PyTuple_Size(args) != 2)
        return NULL;
    PyObject *kept = beside_get(PyTuple_GetItem(args, 0));
    if (kept == NULL || Py_TYPE(kept) != fetch_type)
        return NULL;
    *worker = worker_of_fetch((Fetch *)kept);
    return *worker == NULL ? NULL : (Fetch *)kept;
}

/* Where items do not show one by one, the call of collate_fn tells when they are all there: a
 * stand-in takes its place for as long as fetch() runs. False: the fetcher is untouched. */
static bool stand_in_for_collate(Fetch *fetch, PyObject *fetcher)
{
    PyObject *attributes = beside_attributes(fetcher), *collate = held(fetcher, name_collate);
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
static void put_collate_back(const Fetch *fetch, PyObject *fetcher)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (held(fetcher, name_collate) == fetch->collate &&
        PyDict_SetItem(beside_attributes(fetcher), name_collate,
                       ((Standin *)fetch->collate)->original) < 0)
        errors_forget();
    PyErr_Restore(type, value, traceback);
}

/* The original, with what tells items from collation around it. */
static PyObject *fetch_in_parts(Standin *self, PyObject *args, Fetch *fetch, struct worker *worker)
{
    PyObject *fetcher = PyTuple_GetItem(args, 0), *indices = PyTuple_GetItem(args, 1);
    PyObject *items = NULL, *changed = NULL;
    if (fetch->mode == FETCH_EACH && (PyList_CheckExact(indices) || PyTuple_CheckExact(indices))) {
        items = new_items(indices, worker);
        changed = items == NULL ? NULL : PyTuple_Pack(2, fetcher, items);
        errors_forget();
    }
    const bool stands_in = stand_in_for_collate(fetch, fetcher);
    PyObject *result = standin_call_method(self, changed != NULL ? changed : args, NULL);
    if (stands_in)
        put_collate_back(fetch, fetcher);
    Py_XDECREF(changed);
    Py_XDECREF(items);
    return result;
}

static PyObject *fetch_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    struct worker *worker = NULL;
    Fetch *fetch = fetch_of_call(args, kwargs, &worker);
    if (fetch == NULL)
        return standin_call_method(self, args, kwargs);
    Py_INCREF(fetch); /* the program may drop the fetcher meanwhile */
    fetch_depth++;
    fetching = worker;
    worker_begin(worker);
    PyObject *result = fetch_in_parts(self, args, fetch, worker);
    enum rf_worker_outcome outcome = RF_BATCH_MADE;
    if (result == NULL)
        outcome = PyErr_ExceptionMatches(PyExc_StopIteration) ? RF_BATCH_END : RF_BATCH_FAILED;
    if (fetch->mode == FETCH_ALL && result != NULL) {
        PyObject *indices = PyTuple_GetItem(args, 1);
        const Py_ssize_t count = PyList_CheckExact(indices) ? PyList_Size(indices) : 0;
        worker->items = count > 0 ? (uint64_t)count : 0;
    }
    worker_end(worker, outcome);
    fetching = NULL;
    fetch_depth--;
    Py_DECREF(fetch);
    return result;
}

/* Before collate_fn, where the items do not show when they are all there. */
static PyObject *collate_call(Standin *self, PyObject *args, PyObject *kwargs)
{
    struct worker *worker = fetching;
    if (worker != NULL && worker->fetching && !worker->items_ended) {
        if (self->helper == Py_True) /* one item, one batch */
            worker_item(worker, ds_now_ns(), RF_UNKNOWN);
        worker_items_end(worker);
    }
    return PyObject_Call(self->original, args, kwargs);
}

/* ---- types ---- */

static PyType_Slot get_slots[] = STANDIN_SLOTS(get_call, "Stands in for _try_get_data().");
static PyType_Slot sampler_slots[] = STANDIN_SLOTS(sampler_call, "Stands in for _next_index().");
static PyType_Slot pin_slots[] = STANDIN_SLOTS(pin_call, "Stands in for pin_memory().");
static PyType_Slot after_slots[] =
    STANDIN_SLOTS(after_call, "Stands in for a function; calls helper after it.");
static PyType_Slot timed_fetch_slots[] =
    STANDIN_SLOTS(fetch_call, "Stands in for a fetcher's fetch().");
static PyType_Slot collate_slots[] = STANDIN_SLOTS(collate_call, "Stands in for a collate_fn.");
static PyType_Slot dumps_slots[] =
    STANDIN_SLOTS(dumps_call, "Stands in for ForkingPickler.dumps() in a worker.");
static PyType_Spec dumps_spec = STANDIN_SPEC("TimedDumps", dumps_slots);
static PyType_Spec get_spec = STANDIN_SPEC("TimedGet", get_slots);
static PyType_Spec sampler_spec = STANDIN_SPEC("TimedSampler", sampler_slots);
static PyType_Spec pin_spec = STANDIN_SPEC("TimedPin", pin_slots);
static PyType_Spec after_spec = STANDIN_SPEC("After", after_slots);
static PyType_Spec timed_fetch_spec = STANDIN_SPEC("TimedFetch", timed_fetch_slots);
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
static PyType_Slot items_slots[] = {{Py_tp_dealloc, items_dealloc},
                                    {Py_tp_iter, items_iter},
                                    {Py_tp_iternext, items_next},
                                    {Py_sq_length, items_length},
                                    {Py_tp_repr, items_repr},
                                    {Py_tp_doc, "The indices of a batch, timed one by one."},
                                    {0, NULL}};
static PyType_Spec items_spec = {"datastall._core.Items", sizeof(Items), 0, Py_TPFLAGS_DEFAULT,
                                 items_slots};

static PyMethodDef functions[] = {
    {"worker_epoch", feeding_worker_epoch, METH_VARARGS,
     "worker_epoch(monitor, folder, parent_pid) -> bool: a worker process begins an epoch."},
    {"worker_end", feeding_worker_end, METH_NOARGS, "worker_end(): a worker process ends."},
    {NULL, NULL, 0, NULL}};

bool feeding_prepare(void)
{
    name_received = PyUnicode_InternFromString("_rcvd_idx");
    name_sent = PyUnicode_InternFromString("_send_idx");
    name_tasks = PyUnicode_InternFromString("_task_info");
    name_collate = PyUnicode_InternFromString("collate_fn");
    return name_received != NULL && name_sent != NULL && name_tasks != NULL && name_collate != NULL;
}

int feeding_add(PyObject *module)
{
    static const struct {
        const char *name;
        PyType_Spec *spec;
        PyTypeObject **type;
    } types[] = {
        {"TimedGet", &get_spec, NULL},
        {"TimedSampler", &sampler_spec, NULL},
        {"TimedPin", &pin_spec, NULL},
        {"After", &after_spec, NULL},
        {"TimedDumps", &dumps_spec, NULL},
        {"TimedFetch", &timed_fetch_spec, NULL},
        {"Collate", &collate_spec, &collate_type},
        {"Fetch", &fetch_spec, &fetch_type},
        {"Items", &items_spec, &items_type},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        PyObject *type = PyType_FromSpec(types[i].spec);
        if (type == NULL)
            return -1;
        if (types[i].type != NULL)
            *types[i].type = (PyTypeObject *)type;
        Py_INCREF(type);
        if (PyModule_AddObject(module, types[i].name, type) < 0)
            return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
