/* SPDX-License-Identifier: Apache-2.0 */
#define PY_SSIZE_T_CLEAN
#include "composition.h"

#include "base/hot.h"
#include "errors.h"
#include "tensor.h"

#include <string.h>

#define READ_LIMIT_BYTES 65536u
#define SEARCH_LIMIT 8 /* elements of a sequence, values of a mapping that are looked at */
#define NAMES_LIMIT 64 /* entries of a mapping whose names are looked at */

/* What is looked for by name in a batch, in a torch_geometric one and in a UserDict. */
enum field {
    INPUT_IDS,
    ATTENTION_MASK,
    CU_SEQLENS, /* and its other names, the first that is there counts */
    CU_SEQLENS_Q,
    CU_SEQ_LENS_Q,
    CU_SEQ_LENS,
    FIELDS,
    /* of a dict of a graph's parts */
    EDGE_INDEX = FIELDS,
    PTR,
    /* attributes only */
    NUM_GRAPHS,
    STORED_GRAPHS,
    STORE,
    GLOBAL_STORE,
    USER_DATA,
    NAMES
};
static struct {
    const char *text;
    Py_ssize_t length;
    PyObject *name;
} names[NAMES] = {
    [INPUT_IDS] = {"input_ids", 0, NULL},
    [ATTENTION_MASK] = {"attention_mask", 0, NULL},
    [CU_SEQLENS] = {"cu_seqlens", 0, NULL},
    [CU_SEQLENS_Q] = {"cu_seqlens_q", 0, NULL},
    [CU_SEQ_LENS_Q] = {"cu_seq_lens_q", 0, NULL},
    [CU_SEQ_LENS] = {"cu_seq_lens", 0, NULL},
    [EDGE_INDEX] = {"edge_index", 0, NULL},
    [PTR] = {"ptr", 0, NULL},
    [NUM_GRAPHS] = {"num_graphs", 0, NULL},
    [STORED_GRAPHS] = {"_num_graphs", 0, NULL},
    [STORE] = {"_store", 0, NULL},
    [GLOBAL_STORE] = {"_global_store", 0, NULL},
    [USER_DATA] = {"data", 0, NULL},
};
static PyTypeObject *user_dict_type;

/* What most batches are, taken from where Python has them. */
static struct {
    PyTypeObject *tuple, *list;
    PyObject *(*tuple_item)(PyObject *, Py_ssize_t);
} common DS_HOT_DATA;

bool composition_prepare(void)
{
    common.tuple = &PyTuple_Type;
    common.list = &PyList_Type;
    common.tuple_item = PyTuple_GetItem;
    for (int i = 0; i < NAMES; i++) {
        names[i].length = (Py_ssize_t)strlen(names[i].text);
        if ((names[i].name = PyUnicode_InternFromString(names[i].text)) == NULL)
            return false;
    }
    PyObject *collections = PyImport_ImportModule("collections");
    PyObject *type = collections != NULL ? PyObject_GetAttrString(collections, "UserDict") : NULL;
    if (type != NULL && PyType_Check(type))
        user_dict_type = (PyTypeObject *)type; /* kept */
    Py_XDECREF(collections);
    return type != NULL;
}

void composition_set_tensor_type(PyObject *type)
{
    tensor_set_type(type);
}

/* ---- what containers hold, past the methods of their classes ---- */

/* Which of the names a key is; NAMES for any other. A key that is no plain string may have an
 * __eq__ of its own. */
static int name_of(PyObject *key, int from, int until)
{
    for (int i = from; i < until; i++) {
        if (key == names[i].name)
            return i;
    }
    if (!PyUnicode_CheckExact(key))
        return NAMES;
    const Py_ssize_t length = PyUnicode_GetLength(key);
    for (int i = from; i < until; i++) {
        if (length == names[i].length && PyUnicode_Compare(key, names[i].name) == 0)
            return i;
    }
    return NAMES;
}

/* The values under names[from ... until - 1] of a dict, each borrowed or NULL. */
static void find(PyObject *dict, int from, int until, PyObject **found)
{
    PyObject *key, *value;
    Py_ssize_t place = 0;
    memset(found, 0, (size_t)(until - from) * sizeof *found);
    for (int seen = 0; seen < NAMES_LIMIT && PyDict_Next(dict, &place, &key, &value); seen++) {
        const int name = name_of(key, from, until);
        if (name != NAMES)
            found[name - from] = value;
    }
}

static PyObject *find_one(PyObject *dict, int name)
{
    PyObject *found;
    find(dict, name, name + 1, &found);
    return found;
}

/* The instance's own attributes, a new reference: the __dict__ of an object of a Python class, without
 * its __getattr__, properties or a __dict__ of its class's making. NULL where there is none. */
static PyObject *attributes_of(PyObject *object)
{
    if (!(PyType_GetFlags(Py_TYPE(object)) & Py_TPFLAGS_HEAPTYPE) || PyType_Check(object))
        return NULL;
    PyObject *dict = PyObject_GenericGetDict(object, NULL);
    if (dict == NULL)
        errors_forget();
    else if (!PyDict_Check(dict))
        Py_CLEAR(dict);
    return dict;
}

static bool is_user_dict(PyObject *object)
{
    return user_dict_type != NULL && PyType_IsSubtype(Py_TYPE(object), user_dict_type);
}

static bool is_mapping(PyObject *object)
{
    return PyDict_Check(object) || is_user_dict(object);
}

/* The dict that a mapping is or keeps, a new reference, or NULL. */
static PyObject *dict_of(PyObject *mapping)
{
    PyObject *dict = NULL;
    if (PyDict_Check(mapping)) {
        dict = mapping;
        Py_INCREF(dict);
    } else if (is_user_dict(mapping)) { /* BatchEncoding and its kind keep one in .data */
        PyObject *attributes = attributes_of(mapping);
        dict = attributes != NULL ? find_one(attributes, USER_DATA) : NULL;
        if (dict != NULL && !PyDict_Check(dict))
            dict = NULL;
        Py_XINCREF(dict);
        Py_XDECREF(attributes);
    }
    return dict;
}

static bool is_sequence(PyObject *object)
{
    return PyTuple_Check(object) || PyList_Check(object);
}

static uint64_t length_of(PyObject *sequence)
{
    const Py_ssize_t length =
        PyTuple_Check(sequence) ? PyTuple_Size(sequence) : PyList_Size(sequence);
    return (uint64_t)length;
}

/* Borrowed. */
static PyObject *element_of(PyObject *sequence, Py_ssize_t i)
{
    return PyTuple_Check(sequence) ? PyTuple_GetItem(sequence, i) : PyList_GetItem(sequence, i);
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

/* ---- reading a mask ---- */

/* How many elements are not zero. `significant` leaves out the sign of -0.0. At most 2^31 at a time:
 * counts of 32 bits are added twice as fast as wider ones. */
#define COUNT_LIMIT (UINT64_C(1) << 31)
#define COUNT_ROW(type)                                                              \
    static uint64_t count_##type(const type *row, uint64_t length, type significant) \
    {                                                                                \
        uint32_t count = 0;                                                          \
        for (uint64_t i = 0; i < length; i++)                                        \
            count += (row[i] & significant) != 0;                                    \
        return count;                                                                \
    }
COUNT_ROW(uint8_t)
COUNT_ROW(uint16_t)
COUNT_ROW(uint32_t)

/* As halves, which common vector units compare and 64-bit words they do not. */
static uint64_t count_uint64_t(const uint32_t *row, uint64_t length, uint64_t significant)
{
    uint32_t count = 0, half[2];
    memcpy(half, &significant, sizeof half);
    for (uint64_t i = 0; i < length; i++)
        count += ((row[2 * i] & half[0]) | (row[2 * i + 1] & half[1])) != 0;
    return count;
}

static uint64_t count_part(const void *row, uint64_t length, const struct tensor_memory *memory)
{
    const uint64_t all = memory->is_float ? UINT64_MAX >> 1 : UINT64_MAX;
    switch (memory->element_bytes) {
    case 1:
        return count_uint8_t(row, length, UINT8_MAX);
    case 2:
        return count_uint16_t(row, length, (uint16_t)(all >> 48));
    case 4:
        return count_uint32_t(row, length, (uint32_t)(all >> 32));
    default:
        return count_uint64_t(row, length, all);
    }
}

static uint64_t count_row(const char *row, uint64_t length, const struct tensor_memory *memory)
{
    uint64_t count = 0;
    for (uint64_t from = 0; from < length; from += COUNT_LIMIT) {
        const uint64_t rest = length - from;
        count += count_part(row + from * memory->element_bytes,
                            rest < COUNT_LIMIT ? rest : COUNT_LIMIT, memory);
    }
    return count;
}

/* True when a structure of this size is to be read this time. */
static bool is_turn(struct composition *state, uint64_t bytes)
{
    uint64_t k = bytes <= READ_LIMIT_BYTES ? 1 : (bytes + READ_LIMIT_BYTES - 1) / READ_LIMIT_BYTES;
    return state->masks_seen++ % k == 0;
}

static void read_mask(struct composition *state, const struct tensor_shape *shape,
                      const struct tensor_memory *memory, datastall_batch *out)
{
    const uint64_t row_bytes = shape->size[1] * memory->element_bytes;
    uint64_t longest = 0, tokens = 0;
    for (uint64_t row = 0; row < shape->size[0]; row++) {
        uint64_t length =
            count_row((const char *)memory->address + row * row_bytes, shape->size[1], memory);
        tokens += length;
        longest = length > longest ? length : longest;
    }
    out->tokens = tokens;
    out->longest_sequence = longest;
    state->token_share = (double)tokens / (double)shape->elements;
}

static void from_mask(struct composition *state, struct tensor_questions *questions, PyObject *mask,
                      datastall_batch *out)
{
    struct tensor_shape shape = tensor_shape(questions, mask);
    if (shape.dimensions < 2) /* one sequence, or no batch: how many samples is not known */
        return;
    out->samples = shape.size[0];
    if (shape.dimensions != 2 || shape.elements == DATASTALL_UNKNOWN)
        return;
    out->padded_tokens = shape.elements;
    struct tensor_memory memory;
    if (!tensor_memory(questions, mask, &shape, &state->layout, &memory))
        return;
    if (is_turn(state, shape.elements * memory.element_bytes)) {
        read_mask(state, &shape, &memory, out);
    } else {
        out->tokens = (uint64_t)((double)shape.elements * state->token_share + 0.5);
        out->flags |= DATASTALL_BATCH_TOKENS_SAMPLED;
    }
}

/* Boundaries of sequences that lie in one row: [0, 5, 9, ...]. False when they are none. */
static bool read_bounds(const struct tensor_memory *memory, uint64_t count, int64_t *last,
                        int64_t *longest)
{
    int64_t previous = 0;
    *longest = 0;
    for (uint64_t i = 0; i < count; i++) {
        *last = memory->element_bytes == 8 ? ((const int64_t *)memory->address)[i]
                                           : ((const int32_t *)memory->address)[i];
        if (*last < previous)
            return false;
        if (i > 0 && *last - previous > *longest)
            *longest = *last - previous;
        previous = *last;
    }
    return true;
}

static void from_cu_seqlens(struct composition *state, struct tensor_questions *questions,
                            PyObject *bounds, datastall_batch *out)
{
    struct tensor_shape shape = tensor_shape(questions, bounds);
    if (shape.dimensions != 1 || shape.size[0] < 1 || shape.size[0] == DATASTALL_UNKNOWN)
        return;
    out->samples = shape.size[0] - 1;
    struct tensor_memory memory;
    int64_t last = 0, longest;
    if (!tensor_memory(questions, bounds, &shape, NULL, &memory) || memory.is_float ||
        memory.element_bytes < 4 || !is_turn(state, shape.size[0] * memory.element_bytes) ||
        !read_bounds(&memory, shape.size[0], &last, &longest))
        return;
    out->tokens = (uint64_t)last;
    out->longest_sequence = (uint64_t)longest;
    /* Packed sequences have no padding between them; input_ids may have some behind the last. */
    if (out->padded_tokens == DATASTALL_UNKNOWN || out->padded_tokens < out->tokens)
        out->padded_tokens = out->tokens;
}

/* ---- the shapes of batches ---- */

static void from_tokens(struct tensor_questions *questions, PyObject *input_ids, bool padding_known,
                        datastall_batch *out)
{
    struct tensor_shape shape = tensor_shape(questions, input_ids);
    if (shape.dimensions < 1)
        return;
    if (out->samples == DATASTALL_UNKNOWN && shape.dimensions >= 2)
        out->samples = shape.size[0];
    if (padding_known)
        out->padded_tokens = shape.elements;
    else if (out->tokens == DATASTALL_UNKNOWN && shape.dimensions <= 2)
        out->tokens = shape.elements; /* positions; how many of them pad is not known */
}

/* input_ids, attention_mask, cu_seqlens. True when one of them was there. */
static bool from_named_fields(struct composition *state, struct tensor_questions *questions,
                              PyObject *dict, datastall_batch *out)
{
    PyObject *field[FIELDS], *bounds = NULL;
    find(dict, 0, FIELDS, field);
    for (int i = CU_SEQLENS; i < FIELDS && bounds == NULL; i++)
        bounds = field[i];
    if (bounds != NULL && bounds != Py_None) {
        if (field[INPUT_IDS] != NULL)
            from_tokens(questions, field[INPUT_IDS], true, out);
        out->samples = DATASTALL_UNKNOWN;
        from_cu_seqlens(state, questions, bounds, out);
    } else if (field[ATTENTION_MASK] != NULL && field[ATTENTION_MASK] != Py_None) {
        from_mask(state, questions, field[ATTENTION_MASK], out);
    } else if (field[INPUT_IDS] != NULL) {
        from_tokens(questions, field[INPUT_IDS], false, out);
    }
    return bounds != NULL || field[ATTENTION_MASK] != NULL || field[INPUT_IDS] != NULL;
}

/* torch_geometric: Data keeps its attributes in a _store, HeteroData in a _global_store. */
static uint64_t graphs_in(PyObject *const *field)
{
    uint64_t graphs = DATASTALL_UNKNOWN;
    if (field[NUM_GRAPHS] != NULL || field[STORED_GRAPHS] != NULL)
        return as_count(field[field[NUM_GRAPHS] != NULL ? NUM_GRAPHS : STORED_GRAPHS]);
    PyObject *store = field[field[STORE] != NULL ? STORE : GLOBAL_STORE];
    PyObject *attributes = store != NULL ? attributes_of(store) : NULL;
    PyObject *stored = attributes != NULL ? find_one(attributes, STORED_GRAPHS) : NULL;
    if (stored != NULL)
        graphs = as_count(stored);
    Py_XDECREF(attributes);
    return graphs;
}

/* A value of a mapping that is a batch of graphs itself. */
static uint64_t graphs_of(PyObject *value)
{
    PyObject *attributes = attributes_of(value), *field[NAMES];
    if (attributes == NULL)
        return DATASTALL_UNKNOWN;
    find(attributes, 0, NAMES, field);
    const uint64_t graphs = graphs_in(field);
    Py_DECREF(attributes);
    return graphs;
}

/* Samples in a value of a batch: a tensor's first dimension, a list's length, its graphs. */
static uint64_t samples_in(struct tensor_questions *questions, PyObject *value)
{
    if (is_sequence(value))
        return length_of(value);
    return tensor_is_one(value) ? tensor_length(questions, value) : graphs_of(value);
}

/* A dict of the parts of graphs: the first dimension of what it holds is nodes or edges. Where each
 * graph begins says how many there are; without that it is not known. True where it is one. */
static bool from_parts_of_graphs(struct tensor_questions *questions, PyObject *dict,
                                 datastall_batch *out)
{
    PyObject *found[2];
    find(dict, EDGE_INDEX, PTR + 1, found);
    PyObject *const edges = found[0], *const begins = found[PTR - EDGE_INDEX];
    if (edges == NULL)
        return false;
    const uint64_t count = begins == NULL ? DATASTALL_UNKNOWN : tensor_length(questions, begins);
    if (count != DATASTALL_UNKNOWN && count > 0)
        out->samples = count - 1;
    return true;
}

static void from_values(struct tensor_questions *questions, PyObject *dict, datastall_batch *out)
{
    PyObject *key, *value;
    Py_ssize_t place = 0;
    for (int seen = 0; seen < SEARCH_LIMIT && out->samples == DATASTALL_UNKNOWN &&
                       PyDict_Next(dict, &place, &key, &value);
         seen++)
        out->samples = samples_in(questions, value);
}

static void from_mapping(struct composition *state, struct tensor_questions *questions,
                         PyObject *mapping, bool by_values, datastall_batch *out)
{
    PyObject *dict = dict_of(mapping);
    if (dict == NULL)
        return;
    const bool named = from_named_fields(state, questions, dict, out);
    if (by_values && !named && out->samples == DATASTALL_UNKNOWN &&
        !from_parts_of_graphs(questions, dict, out))
        from_values(questions, dict, out);
    Py_DECREF(dict);
}

/* [x, y] of tensors: their first dimension. (images, targets) of lists: their length. [sample, ...]
 * that nobody collated: the length of the list itself. */
static void from_sequence(struct composition *state, struct tensor_questions *questions,
                          PyObject *batch, datastall_batch *out)
{
    const uint64_t length = length_of(batch);
    const int count = length < SEARCH_LIMIT ? (int)length : SEARCH_LIMIT;
    PyObject *element[SEARCH_LIMIT];
    for (int i = 0; i < count; i++)
        element[i] = element_of(batch, i);
    /* Inputs and labels, the inputs a dict of tensors; but dicts only, in a list, are samples that
     * nobody collated. default_collate makes lists of tuples. */
    bool several_kinds = PyTuple_Check(batch);
    for (int i = 1; i < count && !several_kinds; i++)
        several_kinds = !is_mapping(element[i]);
    if (several_kinds && count > 0)
        from_mapping(state, questions, element[0], false, out);
    for (int i = 0; i < count && out->samples == DATASTALL_UNKNOWN; i++)
        out->samples = tensor_length(questions, element[i]);
    if (out->samples != DATASTALL_UNKNOWN)
        return;
    bool parallel = PyTuple_Check(batch) && count > 0;
    for (int i = 0; i < count; i++)
        parallel &= is_sequence(element[i]) && length_of(element[i]) == length_of(element[0]);
    out->samples = parallel ? length_of(element[0]) : length;
}

static void from_attributes(struct composition *state, struct tensor_questions *questions,
                            PyObject *batch, datastall_batch *out)
{
    PyObject *attributes = attributes_of(batch);
    if (attributes == NULL)
        return;
    PyObject *field[NAMES];
    find(attributes, 0, NAMES, field);
    out->samples = graphs_in(field);
    if (out->samples == DATASTALL_UNKNOWN)
        from_named_fields(state, questions, attributes, out);
    Py_DECREF(attributes);
}

/* The batch, or its first element; NULL: it has none, or is of another kind. */
DS_WAIT_END static PyObject *first_of(PyObject *batch)
{
    if (tensor_is_plain(batch))
        return batch;
    if (Py_TYPE(batch) == common.tuple && Py_SIZE(batch) > 0)
        return common.tuple_item(batch, 0);
    return Py_TYPE(batch) == common.list && Py_SIZE(batch) > 0 ? PyList_GetItem(batch, 0) : NULL;
}

/* x, [x, y] or (x, y), x a plain tensor, is what most loaders hand out: x says it, and nothing else is
 * looked at. A shorter way to what from_kind() finds. */
DS_WAIT_END static bool from_first_element(struct tensor_questions *questions, PyObject *batch,
                                           datastall_batch *out)
{
    PyObject *first = first_of(batch);
    if (first == NULL || !tensor_is_plain(first))
        return false;
    out->samples = tensor_length(questions, first);
    return out->samples != DATASTALL_UNKNOWN;
}

static void from_kind(struct composition *state, struct tensor_questions *questions,
                      PyObject *batch, datastall_batch *out)
{
    if (is_sequence(batch))
        from_sequence(state, questions, batch, out);
    else if (is_mapping(batch))
        from_mapping(state, questions, batch, true, out);
    else if (tensor_is_one(batch))
        out->samples = tensor_length(questions, batch);
    else
        from_attributes(state, questions, batch, out);
}

DS_WAIT_END void composition_measure(struct composition *state, PyObject *batch,
                                     datastall_batch *out)
{
    struct tensor_questions questions = {0};
    if (!from_first_element(&questions, batch, out))
        from_kind(state, &questions, batch, out);
    tensor_questions_end(&questions);
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

static bool is_mapping_of_any_kind(PyObject *object)
{
    return PyMapping_Check(object) && !is_sequence(object) && !PyUnicode_Check(object) &&
           !PyBytes_Check(object) && PyObject_HasAttrString(object, "keys");
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
    if (!is_mapping_of_any_kind(answer)) {
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
