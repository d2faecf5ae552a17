/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "tensor.h"

#include "base/hot.h"
#include "errors.h"

/* A function of torch._C without arguments. One of C is called without the interpreter's help, which
 * would be as long a way as the function itself. */
struct question {
    PyCFunction call; /* NULL: by the interpreter */
    PyObject *self;
    PyObject *no;       /* the answer that is hoped for, always the same object */
    PyObject *function; /* NULL: this torch has none */
};

/* What is asked for every batch. */
PyTypeObject *tensor_plain_type DS_HOT_DATA;
static lenfunc torch_length DS_HOT_DATA;
static struct question mode_sees DS_HOT_DATA; /* a TorchFunctionMode */

/* The class that torch.Tensor is made of, its C getters (descriptors) and torch's own functions.
 * Those that this torch does not have are NULL. */
static struct {
    PyTypeObject *base;
    struct question is_tracing;                                /* torch.jit.trace */
    PyObject *shape, *ndim, *is_cpu, *dtype, *python_dispatch; /* getters */
    PyObject *is_contiguous, *storage_offset, *untyped_storage, *data_ptr, *storage_nbytes;
    PyObject *data_address, *is_copied_lazily; /* functions of torch._C */
    PyObject *disable_type, *disable_enter, *disable_exit;
} torch;

static struct {
    PyTypeObject *type;
    lenfunc length;
    PyObject *shape;
} numpy;

static struct element {
    const char *name;
    unsigned bytes;
    bool is_float;
    PyObject *dtype;
} elements[] = {
    {"bool", 1, false, NULL},   {"uint8", 1, false, NULL},   {"int8", 1, false, NULL},
    {"int16", 2, false, NULL},  {"int32", 4, false, NULL},   {"int64", 8, false, NULL},
    {"float16", 2, true, NULL}, {"bfloat16", 2, true, NULL}, {"float32", 4, true, NULL},
    {"float64", 8, true, NULL},
};

/* ---- fetching the getters, once ---- */

/* What a class has under a name, if it is of that very type, so that C answers it. */
static PyObject *of_kind(PyObject *owner, const char *name, PyTypeObject *kind)
{
    PyObject *found = owner != NULL ? PyObject_GetAttrString(owner, name) : NULL;
    if (found == NULL)
        errors_forget();
    else if (Py_TYPE(found) != kind)
        Py_CLEAR(found);
    return found;
}

static PyObject *fetch_getter(PyObject *owner, const char *name)
{
    return of_kind(owner, name, &PyGetSetDescr_Type);
}

static PyObject *fetch_method(PyObject *owner, const char *name)
{
    return of_kind(owner, name, &PyMethodDescr_Type);
}

/* A module's dict, borrowed, or NULL. Nothing is imported. */
static PyObject *module_dict(const char *name)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *module =
        modules != NULL && PyDict_CheckExact(modules) ? PyDict_GetItemString(modules, name) : NULL;
    return module != NULL && PyModule_CheckExact(module) ? PyModule_GetDict(module) : NULL;
}

static PyObject *fetch_function(PyObject *dict, const char *name)
{
    PyObject *found = PyDict_GetItemString(dict, name);
    if (found == NULL || Py_TYPE(found) != &PyCFunction_Type)
        return NULL;
    Py_INCREF(found);
    return found;
}

/* Takes the reference to no. */
static struct question fetch_question(PyObject *dict, const char *name, PyObject *no)
{
    struct question question = {NULL, NULL, no, fetch_function(dict, name)};
    if (question.function != NULL && PyCFunction_GetFlags(question.function) == METH_NOARGS) {
        question.call = PyCFunction_GetFunction(question.function);
        question.self = PyCFunction_GetSelf(question.function);
    }
    return question;
}

static void fetch_getters(PyObject *base)
{
    torch.shape = fetch_getter(base, "shape");
    torch.ndim = fetch_getter(base, "ndim");
    torch.is_cpu = fetch_getter(base, "is_cpu");
    torch.dtype = fetch_getter(base, "dtype");
    torch.python_dispatch = fetch_getter(base, "_python_dispatch");
    torch.is_contiguous = fetch_method(base, "is_contiguous");
    torch.storage_offset = fetch_method(base, "storage_offset");
    torch.untyped_storage = fetch_method(base, "untyped_storage");
    torch.data_ptr = fetch_method(base, "data_ptr");
}

static void fetch_functions(PyObject *c_module)
{
    mode_sees = fetch_question(c_module, "_is_torch_function_mode_enabled", PyBool_FromLong(0));
    if (mode_sees.function == NULL) /* small numbers are one object each */
        mode_sees = fetch_question(c_module, "_len_torch_function_stack", PyLong_FromLong(0));
    torch.is_tracing = fetch_question(c_module, "_is_tracing", PyBool_FromLong(0));
    torch.data_address = fetch_function(c_module, "_data_address");
    torch.is_copied_lazily = fetch_function(c_module, "_is_cow_tensor");
    torch.disable_type = PyDict_GetItemString(c_module, "DisableTorchFunction");
    Py_XINCREF(torch.disable_type);
    torch.disable_enter = fetch_method(torch.disable_type, "__enter__");
    torch.disable_exit = fetch_method(torch.disable_type, "__exit__");
    torch.storage_nbytes = fetch_method(PyDict_GetItemString(c_module, "StorageBase"), "nbytes");
}

static void fetch_dtypes(PyObject *module)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        elements[i].dtype = PyDict_GetItemString(module, elements[i].name);
        Py_XINCREF(elements[i].dtype);
    }
}

void tensor_set_type(PyObject *type)
{
    PyObject *c_module = module_dict("torch._C"), *module = module_dict("torch");
    if (!PyType_Check(type) || tensor_plain_type != NULL || c_module == NULL || module == NULL)
        return;
    PyTypeObject *base = PyType_GetSlot((PyTypeObject *)type, Py_tp_base);
    fetch_getters((PyObject *)base);
    fetch_functions(c_module);
    fetch_dtypes(module);
    errors_forget();
    if (torch.shape == NULL || mode_sees.function == NULL || torch.disable_enter == NULL ||
        torch.disable_exit == NULL)
        return;
    torch_length = (lenfunc)PyType_GetSlot(base, Py_mp_length);
    torch.base = base;
    Py_INCREF(type);
    tensor_plain_type = (PyTypeObject *)type;
}

static void find_torch(void)
{
    PyObject *module = module_dict("torch");
    PyObject *type = module != NULL ? PyDict_GetItemString(module, "Tensor") : NULL;
    if (type != NULL)
        tensor_set_type(type);
}

static void find_numpy(void)
{
    PyObject *module = module_dict("numpy");
    PyObject *type = module != NULL ? PyDict_GetItemString(module, "ndarray") : NULL;
    if (type == NULL || !PyType_Check(type))
        return;
    numpy.length = (lenfunc)PyType_GetSlot((PyTypeObject *)type, Py_mp_length);
    numpy.shape = fetch_getter(type, "shape");
    if (numpy.length == NULL || numpy.shape == NULL)
        return;
    Py_INCREF(type);
    numpy.type = (PyTypeObject *)type;
}

/* Either may be imported late, or never: looked for when the 1st, 2nd, 4th ... object came that is
 * nothing known. */
DS_COLD static void find_libraries(void)
{
    static uint64_t asked;
    if (tensor_plain_type != NULL && numpy.type != NULL)
        return;
    asked++;
    if ((asked & (asked - 1)) != 0)
        return;
    if (tensor_plain_type == NULL)
        find_torch();
    if (numpy.type == NULL)
        find_numpy();
}

/* ---- asking ---- */

static PyObject *get(PyObject *descriptor, PyObject *object)
{
    static descrgetfunc call;
    if (descriptor == NULL)
        return NULL;
    if (call == NULL)
        call = (descrgetfunc)PyType_GetSlot(&PyGetSetDescr_Type, Py_tp_descr_get);
    PyObject *value = call(descriptor, object, (PyObject *)Py_TYPE(object));
    if (value == NULL)
        errors_forget();
    return value;
}

static PyObject *ask(PyObject *callable, PyObject *object)
{
    PyObject *value =
        callable != NULL ? PyObject_CallFunctionObjArgs(callable, object, NULL) : NULL;
    if (value == NULL)
        errors_forget();
    return value;
}

/* Both take the reference. */
DS_WAIT_END static bool is_same(PyObject *value, PyObject *other)
{
    Py_XDECREF(value);
    return value != NULL && value == other;
}

DS_WAIT_END static bool answer_is_no(const struct question *question)
{
    PyObject *answer = question->call != NULL ? question->call(question->self, NULL)
                                              : PyObject_CallNoArgs(question->function);
    if (answer == NULL)
        errors_forget();
    return is_same(answer, question->no);
}

static uint64_t as_number(PyObject *value)
{
    uint64_t number = DATASTALL_UNKNOWN;
    if (value != NULL && PyLong_CheckExact(value)) {
        number = PyLong_AsUnsignedLongLong(value);
        if (number == DATASTALL_UNKNOWN) /* negative or too large */
            errors_forget();
    }
    Py_XDECREF(value);
    return number;
}

DS_COLD static bool disable_torch_functions(struct tensor_questions *questions)
{
    if (questions->disabled != NULL)
        return true;
    PyObject *disabled = PyObject_CallNoArgs(torch.disable_type);
    PyObject *entered = disabled != NULL ? ask(torch.disable_enter, disabled) : NULL;
    errors_forget();
    if (entered == NULL)
        Py_CLEAR(disabled);
    Py_XDECREF(entered);
    questions->disabled = disabled;
    return disabled != NULL;
}

DS_WAIT_END void tensor_questions_end(struct tensor_questions *questions)
{
    if (questions->disabled == NULL)
        return;
    Py_XDECREF(PyObject_CallFunctionObjArgs(torch.disable_exit, questions->disabled, Py_None,
                                            Py_None, Py_None, NULL));
    Py_CLEAR(questions->disabled);
    errors_forget();
}

/* A mode of the program (torch.set_default_device() has one, too) would see each question. */
DS_WAIT_END static bool no_mode_sees(struct tensor_questions *questions)
{
    if (questions->modes_known || questions->disabled != NULL)
        return true;
    questions->modes_known = answer_is_no(&mode_sees);
    return questions->modes_known || disable_torch_functions(questions);
}

static bool is_tracing(struct tensor_questions *questions)
{
    if (!questions->tracing_known && torch.is_tracing.function != NULL) {
        questions->tracing = !answer_is_no(&torch.is_tracing);
        questions->tracing_known = true;
    }
    return questions->tracing;
}

static bool is_torch(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return tensor_plain_type != NULL &&
           (type == tensor_plain_type || PyType_IsSubtype(type, torch.base));
}

static bool is_numpy(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    return numpy.type != NULL && (type == numpy.type || PyType_IsSubtype(type, numpy.type));
}

bool tensor_is_one(PyObject *object)
{
    if (is_torch(object) || is_numpy(object))
        return true;
    find_libraries();
    return is_torch(object) || is_numpy(object);
}

/* True when base-class getters may be called on it: none of them leads to Python. */
DS_WAIT_END static bool may_be_asked(struct tensor_questions *questions, PyObject *tensor)
{
    if (Py_TYPE(tensor) == tensor_plain_type)
        return no_mode_sees(questions);
    return disable_torch_functions(questions) &&
           is_same(get(torch.python_dispatch, tensor), Py_False);
}

DS_WAIT_END static uint64_t slot_length(lenfunc length, PyObject *object)
{
    Py_ssize_t answer = length(object);
    if (answer < 0)
        errors_forget(); /* NumPy: no dimension */
    return answer < 0 ? DATASTALL_UNKNOWN : (uint64_t)answer;
}

DS_EACH_WAIT void tensor_fetch_ahead(void)
{
    ds_fetch_lines((const void *)mode_sees.call, 3);
    ds_fetch_lines((const void *)torch_length, 5);
}

DS_WAIT_END uint64_t tensor_length(struct tensor_questions *questions, PyObject *object)
{
    if (!tensor_is_one(object))
        return DATASTALL_UNKNOWN;
    if (!is_torch(object))
        return slot_length(numpy.length, object);
    if (torch_length == NULL || !may_be_asked(questions, object))
        return DATASTALL_UNKNOWN;
    const uint64_t length = slot_length(torch_length, object);
    /* torch says 0 also where there is no dimension. */
    if (length == 0 && as_number(get(torch.ndim, object)) == 0)
        return DATASTALL_UNKNOWN;
    return length;
}

static struct tensor_shape shape_from(PyObject *sizes)
{
    struct tensor_shape shape = {-1, {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}, 1};
    if (sizes == NULL || !PyTuple_Check(sizes))
        return shape;
    shape.dimensions = (int)PyTuple_Size(sizes);
    for (int i = 0; i < shape.dimensions; i++) {
        PyObject *item = PyTuple_GetItem(sizes, i);
        Py_XINCREF(item);
        const uint64_t size = as_number(item);
        if (i < 2)
            shape.size[i] = size;
        if (size == DATASTALL_UNKNOWN || shape.elements == DATASTALL_UNKNOWN ||
            __builtin_mul_overflow(shape.elements, size, &shape.elements))
            shape.elements = DATASTALL_UNKNOWN;
    }
    return shape;
}

struct tensor_shape tensor_shape(struct tensor_questions *questions, PyObject *object)
{
    PyObject *sizes = NULL;
    if (tensor_is_one(object)) {
        if (!is_torch(object))
            sizes = get(numpy.shape, object);
        else if (may_be_asked(questions, object) && !is_tracing(questions))
            sizes = get(torch.shape, object);
    }
    struct tensor_shape shape = shape_from(sizes);
    Py_XDECREF(sizes);
    return shape;
}

/* ---- its memory ---- */

static const struct element *element_of(PyObject *tensor)
{
    PyObject *dtype = get(torch.dtype, tensor);
    const struct element *found = NULL;
    for (size_t i = 0; dtype != NULL && i < sizeof elements / sizeof *elements; i++) {
        if (elements[i].dtype == dtype)
            found = &elements[i];
    }
    Py_XDECREF(dtype);
    return found;
}

/* Where its storage begins. _data_address() leaves a lazily copied one lazy, data_ptr() does not;
 * a torch that has neither _data_address() nor lazy copies is asked for the latter. */
static uint64_t address_of(PyObject *tensor, uint64_t offset_bytes)
{
    uint64_t address;
    if (torch.data_address != NULL) {
        address = as_number(ask(torch.data_address, tensor));
        if (address == 0 || address == DATASTALL_UNKNOWN ||
            __builtin_add_overflow(address, offset_bytes, &address))
            return 0;
        return address;
    }
    if (torch.is_copied_lazily != NULL)
        return 0;
    address = as_number(ask(torch.data_ptr, tensor));
    return address == DATASTALL_UNKNOWN ? 0 : address;
}

/* Sizes are the program's: resize_() and set_() leave shapes that reach past their storage. is_whole: it
 * has as many elements as that. */
static bool lies_in_storage(PyObject *tensor, uint64_t count, unsigned element_bytes,
                            uint64_t *offset_bytes, bool *is_whole)
{
    PyObject *storage = ask(torch.untyped_storage, tensor);
    const uint64_t held = storage != NULL ? as_number(ask(torch.storage_nbytes, storage)) : 0;
    Py_XDECREF(storage);
    const uint64_t offset = as_number(ask(torch.storage_offset, tensor));
    uint64_t end;
    if (held == DATASTALL_UNKNOWN || offset == DATASTALL_UNKNOWN ||
        __builtin_mul_overflow(offset, element_bytes, offset_bytes) ||
        __builtin_mul_overflow(count, element_bytes, &end) ||
        __builtin_add_overflow(end, *offset_bytes, &end))
        return false;
    *is_whole = offset == 0 && end == held;
    return end <= held;
}

/* Row by row, without gaps. Of tensors that are alike and that are all of their storage that is asked of
 * some: a program lays them out as its collate_fn does, and what was cut out of another is less than its
 * storage. Where one was found to be in another order, of all. */
static bool is_contiguous(PyObject *tensor, const struct tensor_shape *shape,
                          const struct element *element, bool is_whole, struct tensor_layout *seen)
{
    if (seen != NULL && is_whole && !seen->varies && shape->size[0] == seen->size[0] &&
        shape->size[1] == seen->size[1] && element->dtype == seen->dtype &&
        quiet_is_left_out(&seen->turns))
        return true;
    const bool yes = is_same(ask(torch.is_contiguous, tensor), Py_True);
    if (seen == NULL)
        return yes;
    seen->varies |= !yes;
    if (yes && is_whole) {
        seen->size[0] = shape->size[0];
        seen->size[1] = shape->size[1];
        seen->dtype = element->dtype;
        quiet_begin_turn(&seen->turns);
    }
    return yes;
}

bool tensor_memory(struct tensor_questions *questions, PyObject *object,
                   const struct tensor_shape *shape, struct tensor_layout *seen,
                   struct tensor_memory *memory)
{
    if (tensor_plain_type == NULL || Py_TYPE(object) != tensor_plain_type ||
        !no_mode_sees(questions) || is_tracing(questions) || shape->elements == 0 ||
        shape->elements == DATASTALL_UNKNOWN)
        return false;
    const struct element *element = element_of(object);
    uint64_t offset_bytes;
    bool is_whole;
    if (element == NULL || !is_same(get(torch.is_cpu, object), Py_True) ||
        !lies_in_storage(object, shape->elements, element->bytes, &offset_bytes, &is_whole) ||
        !is_contiguous(object, shape, element, is_whole, seen))
        return false;
    const uint64_t address = address_of(object, offset_bytes);
    *memory =
        (struct tensor_memory){(const void *)(uintptr_t)address, element->bytes, element->is_float};
    return address != 0 && address % element->bytes == 0;
}
