#define PY_SSIZE_T_CLEAN
#include "composition.h"

#include "errors.h"

#include <string.h>

#define READ_LIMIT_BYTES 65536u
#define SEARCH_LIMIT 8 /* elements of a batch that are looked at */

static PyTypeObject *tensor_type;
static PyObject *name_shape, *name_is_cpu, *name_device, *name_type, *name_data_ptr,
    *name_is_contiguous, *name_element_size, *name_num_graphs, *name_input_ids;
static PyObject *key_attention_mask;
static PyObject *cu_seqlens_keys[4];

bool composition_prepare(void)
{
    static const char *const cu_names[4] = {"cu_seqlens", "cu_seqlens_q", "cu_seq_lens_q",
                                            "cu_seq_lens"};
    struct {
        PyObject **place;
        const char *text;
    } const names[] = {
        {&name_shape, "shape"},
        {&name_is_cpu, "is_cpu"},
        {&name_device, "device"},
        {&name_type, "type"},
        {&name_data_ptr, "data_ptr"},
        {&name_is_contiguous, "is_contiguous"},
        {&name_element_size, "element_size"},
        {&name_num_graphs, "num_graphs"},
        {&name_input_ids, "input_ids"},
        {&key_attention_mask, "attention_mask"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((*names[i].place = PyUnicode_InternFromString(names[i].text)) == NULL)
            return false;
    }
    for (int i = 0; i < 4; i++) {
        if ((cu_seqlens_keys[i] = PyUnicode_InternFromString(cu_names[i])) == NULL)
            return false;
    }
    return true;
}

void composition_set_tensor_type(PyObject *type)
{
    if (!PyType_Check(type))
        return;
    Py_INCREF(type);
    PyTypeObject *old = tensor_type;
    tensor_type = (PyTypeObject *)type;
    Py_XDECREF(old);
}

/* ---- small questions to objects; none leaves an error set ---- */

static PyObject *attribute(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    if (value == NULL)
        errors_forget();
    return value;
}

static uint64_t as_count(PyObject *number)
{
    if (!PyLong_Check(number))
        return DATASTALL_UNKNOWN;
    long long value = PyLong_AsLongLong(number);
    if (value == -1 && PyErr_Occurred())
        errors_forget();
    return value < 0 ? DATASTALL_UNKNOWN : (uint64_t)value;
}

struct shape {
    int dimensions;   /* -1: the object has no shape */
    uint64_t size[2]; /* of the first two */
    uint64_t elements;
};

static struct shape shape_of(PyObject *object)
{
    struct shape shape = {-1, {DATASTALL_UNKNOWN, DATASTALL_UNKNOWN}, 1};
    PyObject *sizes = attribute(object, name_shape);
    if (sizes != NULL && PyTuple_Check(sizes)) {
        shape.dimensions = (int)PyTuple_Size(sizes);
        for (int i = 0; i < shape.dimensions; i++) {
            uint64_t size = as_count(PyTuple_GetItem(sizes, i));
            if (i < 2)
                shape.size[i] = size;
            if (size == DATASTALL_UNKNOWN || shape.elements == DATASTALL_UNKNOWN ||
                __builtin_mul_overflow(shape.elements, size, &shape.elements))
                shape.elements = DATASTALL_UNKNOWN;
        }
    }
    Py_XDECREF(sizes);
    return shape;
}

static bool is_cpu(PyObject *tensor)
{
    PyObject *answer = attribute(tensor, name_is_cpu);
    if (answer != NULL) {
        bool yes = answer == Py_True;
        Py_DECREF(answer);
        return yes;
    }
    PyObject *device = attribute(tensor, name_device);
    PyObject *type = device != NULL ? attribute(device, name_type) : NULL;
    bool yes =
        type != NULL && PyUnicode_Check(type) && PyUnicode_CompareWithASCIIString(type, "cpu") == 0;
    Py_XDECREF(type);
    Py_XDECREF(device);
    return yes;
}

static uint64_t number_from_method(PyObject *object, PyObject *name)
{
    PyObject *answer = PyObject_CallMethodObjArgs(object, name, NULL);
    uint64_t value = DATASTALL_UNKNOWN;
    if (answer == NULL)
        errors_forget();
    else if (answer == Py_True || answer == Py_False)
        value = answer == Py_True;
    else if (PyLong_Check(answer)) {
        value = PyLong_AsUnsignedLongLong(answer);
        if (PyErr_Occurred()) {
            errors_forget();
            value = DATASTALL_UNKNOWN;
        }
    }
    Py_XDECREF(answer);
    return value;
}

/* Memory of a plain, contiguous CPU tensor; NULL when it must not or cannot be read. Subclasses
 * (FakeTensor, functorch, quantised ...) may have none, so only the type itself is trusted. */
static const void *readable_memory(PyObject *tensor, uint64_t *element_bytes)
{
    if (tensor_type == NULL || Py_TYPE(tensor) != tensor_type || !is_cpu(tensor) ||
        number_from_method(tensor, name_is_contiguous) != 1)
        return NULL;
    *element_bytes = number_from_method(tensor, name_element_size);
    uint64_t address = number_from_method(tensor, name_data_ptr);
    if (address == DATASTALL_UNKNOWN || *element_bytes == DATASTALL_UNKNOWN)
        return NULL;
    return (const void *)(uintptr_t)address;
}

/* ---- reading a mask ---- */

#define COUNT_ROW(type)                                                \
    static uint64_t count_row_##type(const type *row, uint64_t length) \
    {                                                                  \
        uint64_t count = 0;                                            \
        for (uint64_t i = 0; i < length; i++)                          \
            count += row[i] != 0;                                      \
        return count;                                                  \
    }
COUNT_ROW(uint8_t)
COUNT_ROW(uint16_t)
COUNT_ROW(uint32_t)
COUNT_ROW(uint64_t)

static uint64_t count_row(const char *row, uint64_t length, uint64_t element_bytes)
{
    switch (element_bytes) {
    case 1:
        return count_row_uint8_t((const uint8_t *)row, length);
    case 2:
        return count_row_uint16_t((const uint16_t *)(const void *)row, length);
    case 4:
        return count_row_uint32_t((const uint32_t *)(const void *)row, length);
    default:
        return count_row_uint64_t((const uint64_t *)(const void *)row, length);
    }
}

/* True when a structure of this size is to be read this time. */
static bool is_turn(struct composition *state, uint64_t bytes)
{
    uint64_t k = bytes <= READ_LIMIT_BYTES ? 1 : (bytes + READ_LIMIT_BYTES - 1) / READ_LIMIT_BYTES;
    return state->masks_seen++ % k == 0;
}

static void from_mask(struct composition *state, PyObject *mask, datastall_batch *out)
{
    struct shape shape = shape_of(mask);
    if (shape.dimensions < 2) /* one sequence, or no batch: how many samples is not known */
        return;
    out->samples = shape.size[0];
    if (shape.dimensions != 2 || shape.elements == DATASTALL_UNKNOWN)
        return;
    uint64_t element_bytes = 0, longest = 0, tokens = 0;
    const char *memory = readable_memory(mask, &element_bytes);
    bool size_known =
        element_bytes == 1 || element_bytes == 2 || element_bytes == 4 || element_bytes == 8;
    out->padded_tokens = shape.elements;
    if (memory == NULL || !size_known)
        return;
    if (is_turn(state, shape.elements * element_bytes)) {
        for (uint64_t row = 0; row < shape.size[0]; row++) {
            uint64_t length = count_row(memory + row * shape.size[1] * element_bytes, shape.size[1],
                                        element_bytes);
            tokens += length;
            longest = length > longest ? length : longest;
        }
        out->tokens = tokens;
        out->longest_sequence = longest;
        if (shape.elements > 0)
            state->token_share = (double)tokens / (double)shape.elements;
    } else {
        out->tokens = (uint64_t)((double)shape.elements * state->token_share + 0.5);
        out->flags |= DATASTALL_BATCH_TOKENS_SAMPLED;
    }
}

/* Boundaries of sequences that lie in one row: [0, 5, 9, ...]. */
static void from_cu_seqlens(struct composition *state, PyObject *bounds, datastall_batch *out)
{
    struct shape shape = shape_of(bounds);
    if (shape.dimensions != 1 || shape.size[0] < 1 || shape.size[0] == DATASTALL_UNKNOWN)
        return;
    const uint64_t count = shape.size[0];
    uint64_t element_bytes = 0;
    const char *memory = readable_memory(bounds, &element_bytes);
    out->samples = count - 1;
    if (memory == NULL || (element_bytes != 4 && element_bytes != 8) ||
        !is_turn(state, count * element_bytes))
        return;
    int64_t previous = 0, longest = 0, last = 0;
    for (uint64_t i = 0; i < count; i++) {
        int32_t narrow;
        int64_t wide;
        memcpy(&narrow, memory + i * element_bytes, 4);
        memcpy(&wide, memory + i * element_bytes, element_bytes == 8 ? 8 : 4);
        last = element_bytes == 8 ? wide : narrow;
        if (i > 0 && last - previous > longest)
            longest = last - previous;
        previous = last;
    }
    if (last < 0)
        return;
    out->tokens = (uint64_t)last;
    out->longest_sequence = (uint64_t)longest;
    /* Packed sequences have no padding between them; input_ids may have some behind the last. */
    if (out->padded_tokens == DATASTALL_UNKNOWN || out->padded_tokens < out->tokens)
        out->padded_tokens = out->tokens;
}

/* ---- the shapes of batches ---- */

static void from_tokens(PyObject *input_ids, bool padding_known, datastall_batch *out)
{
    struct shape shape = shape_of(input_ids);
    if (shape.dimensions < 1)
        return;
    if (out->samples == DATASTALL_UNKNOWN && shape.dimensions >= 2)
        out->samples = shape.size[0];
    if (padding_known)
        out->padded_tokens = shape.elements;
    else if (out->tokens == DATASTALL_UNKNOWN && shape.dimensions <= 2)
        out->tokens = shape.elements; /* positions; how many of them pad is not known */
}

/* A value of a mapping, or an attribute of an object: new reference or NULL. */
static PyObject *field(PyObject *batch, PyObject *name, bool is_mapping)
{
    if (PyDict_Check(batch)) {
        PyObject *value = PyDict_GetItemWithError(batch, name);
        if (value == NULL)
            errors_forget();
        Py_XINCREF(value);
        return value;
    }
    /* Only what is there: asking for a missing key may make it (__missing__). */
    PyObject *value = NULL;
    if (!is_mapping)
        value = PyObject_GetAttr(batch, name);
    else if (PySequence_Contains(batch, name) == 1)
        value = PyObject_GetItem(batch, name);
    if (value == NULL)
        errors_forget();
    return value;
}

/* input_ids, attention_mask, cu_seqlens. True when one of them was there. */
static bool from_named_fields(struct composition *state, PyObject *batch, bool is_mapping,
                              datastall_batch *out)
{
    PyObject *input_ids = field(batch, name_input_ids, is_mapping);
    PyObject *mask = field(batch, key_attention_mask, is_mapping);
    PyObject *bounds = NULL;
    for (int i = 0; i < 4 && bounds == NULL && (mask == NULL || input_ids == NULL || i < 2); i++)
        bounds = field(batch, cu_seqlens_keys[i], is_mapping);
    bool found = input_ids != NULL || mask != NULL || bounds != NULL;
    if (bounds != NULL && bounds != Py_None) {
        if (input_ids != NULL)
            from_tokens(input_ids, true, out);
        out->samples = DATASTALL_UNKNOWN;
        from_cu_seqlens(state, bounds, out);
    } else if (mask != NULL && mask != Py_None) {
        from_mask(state, mask, out);
    } else if (input_ids != NULL) {
        from_tokens(input_ids, false, out);
    }
    Py_XDECREF(input_ids);
    Py_XDECREF(mask);
    Py_XDECREF(bounds);
    return found;
}

static bool is_sequence(PyObject *object)
{
    return PyTuple_Check(object) || PyList_Check(object);
}

static uint64_t length_of(PyObject *object)
{
    Py_ssize_t length = PyObject_Size(object);
    if (length < 0)
        errors_forget();
    return length < 0 ? DATASTALL_UNKNOWN : (uint64_t)length;
}

/* Samples in a value of a batch: a tensor's first dimension, a list's length. */
static uint64_t samples_in(PyObject *value)
{
    struct shape shape = shape_of(value);
    if (shape.dimensions >= 1)
        return shape.size[0];
    return is_sequence(value) ? length_of(value) : DATASTALL_UNKNOWN;
}

/* Values of a plain dict only: those of other mappings may be made when they are asked for. */
static void from_dict_values(PyObject *batch, datastall_batch *out)
{
    PyObject *inner = NULL; /* UserDict and its kind (BatchEncoding) keep a dict in .data */
    if (!PyDict_Check(batch)) {
        inner = PyObject_GetAttrString(batch, "data");
        if (inner == NULL)
            errors_forget();
        batch = inner;
    }
    PyObject *key, *value;
    Py_ssize_t place = 0;
    int looked_at = 0;
    while (batch != NULL && PyDict_Check(batch) && looked_at++ < SEARCH_LIMIT &&
           out->samples == DATASTALL_UNKNOWN && PyDict_Next(batch, &place, &key, &value)) {
        Py_INCREF(value);
        out->samples = samples_in(value);
        Py_DECREF(value);
    }
    Py_XDECREF(inner);
}

static bool is_mapping(PyObject *object)
{
    /* A user's mapping (BatchEncoding, UserDict) has keys(); a tensor or a string has not. */
    if (PyDict_Check(object))
        return true;
    if (tensor_type != NULL && Py_TYPE(object) == tensor_type)
        return false;
    if (is_sequence(object) || PyUnicode_Check(object) || PyBytes_Check(object) ||
        !PyMapping_Check(object))
        return false;
    PyObject *keys = PyObject_GetAttrString(object, "keys");
    if (keys == NULL)
        errors_forget();
    Py_XDECREF(keys);
    return keys != NULL;
}

/* [x, y] of tensors: their first dimension. (images, targets) of lists: their length. [sample, ...]
 * that nobody collated: the length of the list itself. */
static void from_sequence(struct composition *state, PyObject *batch, datastall_batch *out)
{
    const Py_ssize_t length = PySequence_Size(batch);
    PyObject *element[SEARCH_LIMIT];
    int count = 0;
    for (Py_ssize_t i = 0; i < length && i < SEARCH_LIMIT; i++) {
        PyObject *e = PyTuple_Check(batch) ? PyTuple_GetItem(batch, i) : PyList_GetItem(batch, i);
        if (e == NULL)
            errors_forget();
        else
            element[count++] = e;
    }
    /* Inputs and labels, the inputs a dict of tensors; but dicts only, in a list, are samples that
     * nobody collated. default_collate makes lists of tuples. */
    bool several_kinds = PyTuple_Check(batch);
    for (int i = 1; i < count && !several_kinds; i++)
        several_kinds = !is_mapping(element[i]);
    if (several_kinds && count > 0 && is_mapping(element[0])) {
        from_named_fields(state, element[0], true, out);
        if (out->samples != DATASTALL_UNKNOWN)
            return;
    }
    for (int i = 0; i < count && out->samples == DATASTALL_UNKNOWN; i++) {
        struct shape shape = shape_of(element[i]);
        if (shape.dimensions >= 1)
            out->samples = shape.size[0];
    }
    if (out->samples != DATASTALL_UNKNOWN)
        return;
    bool parallel = PyTuple_Check(batch) && count > 0;
    for (int i = 0; i < count; i++)
        parallel &= is_sequence(element[i]) && length_of(element[i]) == length_of(element[0]);
    out->samples = parallel ? length_of(element[0]) : (uint64_t)length;
}

void composition_measure(struct composition *state, PyObject *batch, datastall_batch *out)
{
    if (is_sequence(batch)) {
        from_sequence(state, batch, out);
        return;
    }
    struct shape shape = {.dimensions = -1};
    if (!PyDict_Check(batch))
        shape = shape_of(batch);
    if (shape.dimensions >= 1) {
        out->samples = shape.size[0];
        return;
    }
    PyObject *graphs = NULL; /* torch_geometric, whose batches are mappings as well */
    if (!PyDict_Check(batch) && !PyUnicode_Check(batch) && !PyBytes_Check(batch))
        graphs = attribute(batch, name_num_graphs);
    if (graphs != NULL) {
        out->samples = as_count(graphs);
        Py_DECREF(graphs);
        return;
    }
    if (is_mapping(batch)) {
        bool named = from_named_fields(state, batch, true, out);
        if (out->samples == DATASTALL_UNKNOWN && !named)
            from_dict_values(batch, out);
        return;
    }
    if (shape.dimensions == 0 || PyUnicode_Check(batch) || PyBytes_Check(batch) ||
        PyLong_Check(batch) || PyFloat_Check(batch))
        return;
    from_named_fields(state, batch, false, out);
}

/* ---- what a user's measure() says ---- */

static bool take_count(PyObject *mapping, const char *key, uint64_t *field_value)
{
    PyObject *value = PyMapping_GetItemString(mapping, key);
    if (value == NULL) {
        errors_forget();
        return true;
    }
    bool ok = true;
    if (value != Py_None) {
        PyObject *index = PyNumber_Index(value);
        long long number = index != NULL ? PyLong_AsLongLong(index) : -1;
        ok = index != NULL && !(number == -1 && PyErr_Occurred());
        if (ok && number < 0) {
            PyErr_Format(PyExc_ValueError, "measure() returned a negative '%s'", key);
            ok = false;
        }
        if (ok)
            *field_value = (uint64_t)number;
        Py_XDECREF(index);
    }
    Py_DECREF(value);
    return ok;
}

bool composition_from_answer(PyObject *answer, datastall_batch *out)
{
    if (answer == Py_None)
        return true;
    if (PyIndex_Check(answer)) {
        PyObject *index = PyNumber_Index(answer);
        if (index == NULL)
            return false;
        out->samples = as_count(index);
        Py_DECREF(index);
        return true;
    }
    if (!is_mapping(answer)) {
        PyErr_SetString(PyExc_TypeError,
                        "measure() must return a number of samples, a mapping or None");
        return false;
    }
    return take_count(answer, "samples", &out->samples) &&
           take_count(answer, "tokens", &out->tokens) &&
           take_count(answer, "longest_sequence", &out->longest_sequence) &&
           take_count(answer, "padded_tokens", &out->padded_tokens) &&
           take_count(answer, "batch_index", &out->batch_index);
}
