/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "fetch_items.h"

#include "base/clock.h"
#include "errors.h"
#include "types.h"

static PyTypeObject *items_type;

typedef struct {
    PyObject_HEAD PyObject *indices; /* a list or a tuple */
    struct worker *worker;
    Py_ssize_t next;  /* ENDED: it ended */
    Py_ssize_t count; /* as asked last */
    bool is_list;
} Items;

#define ENDED (-1)

/* Borrowed. NULL: there is none. */
static PyObject *item_at(const Items *self, Py_ssize_t place)
{
    PyObject *index = self->is_list ? PyList_GetItem(self->indices, place)
                                    : PyTuple_GetItem(self->indices, place);
    if (index == NULL)
        errors_forget();
    return index;
}

static Py_ssize_t count_of(const Items *self)
{
    return self->is_list ? PyList_Size(self->indices) : PyTuple_Size(self->indices);
}

static uint64_t number_of(const struct worker *worker, PyObject *index)
{
    if (index == Py_None) /* an iterable data set: count */
        return worker->totals[RF_TOTAL_ITEMS] + worker->items;
    /* Nearly all are no subclass of it, for which a call is needed. */
    if (Py_TYPE(index) != &PyLong_Type && !PyLong_Check(index))
        return RF_UNKNOWN;
    const long long value = PyLong_AsLongLong(index);
    if (value == -1) /* or too large */
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
    self->count = count_of(self);
    Py_INCREF(self);
    return (PyObject *)self;
}

/* Called for every item: what is asked of Python costs a call each, as others than CPython's own files
 * know no fields of its objects. So the size is asked where it may have been reached; a list that got
 * shorter has no item there. */
static PyObject *items_next(Items *self)
{
    struct worker *worker = self->worker;
    const bool told = worker->fetching && !worker->items_ended;
    if (self->next < 0)
        return NULL;
    if (told && self->next > 0)
        worker_item(worker, ds_now_ns(), worker_item_under_way(worker));
    else if (told)
        worker->item_begin_ns = ds_now_ns();
    if (self->next >= self->count)
        self->count = count_of(self);
    PyObject *index = self->next < self->count ? item_at(self, self->next) : NULL;
    if (index == NULL) {
        if (told)
            worker_items_end(worker);
        self->next = ENDED;
        return NULL;
    }
    if (told)
        worker_item_begins(worker, number_of(worker, index));
    self->next++;
    Py_INCREF(index);
    return index;
}

static PyObject *items_repr(Items *self) /* for who prints the locals of a traceback */
{
    return PyObject_Repr(self->indices);
}

static void items_dealloc(Items *self)
{
    Py_CLEAR(self->indices);
    types_free((PyObject *)self);
}

PyObject *fetch_items_new(PyObject *indices, struct worker *worker)
{
    Items *items = (Items *)types_new(items_type);
    if (items == NULL)
        return NULL;
    Py_INCREF(indices);
    items->indices = indices;
    items->worker = worker;
    items->is_list = PyList_Check(indices);
    return (PyObject *)items;
}

static PyType_Slot items_slots[] = {{Py_tp_dealloc, items_dealloc},
                                    {Py_tp_iter, items_iter},
                                    {Py_tp_iternext, items_next},
                                    {Py_sq_length, items_length},
                                    {Py_tp_repr, items_repr},
                                    {Py_tp_doc, "The indices of a batch, timed one by one."},
                                    {0, NULL}};
static PyType_Spec items_spec = {"datastall._core.Items", sizeof(Items), 0, Py_TPFLAGS_DEFAULT,
                                 items_slots};

int fetch_items_add(PyObject *module)
{
    return types_add(module, &items_spec, &items_type);
}
