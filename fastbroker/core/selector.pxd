"""Selectors: whether a message is what a subscriber wants (csrc/selector.h), and how that becomes a program."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.wire cimport Census, Properties


cdef extern from "csrc/selector.h" nogil:
    enum:
        SELECTOR_STACK
        SELECTOR_NAMES
        SELECTOR_STEPS
        SELECTOR_OPS
        LONGEST_NUMBER
        ID_PREFIX_MOST
    enum:
        OP_HEADER
        OP_FACT
        OP_TEXT
        OP_WHOLE
        OP_REAL
        OP_TRUTH
        OP_COMPARE
        OP_BETWEEN
        OP_IN
        OP_LIKE
        OP_ONE
        OP_RUN
        OP_IS_NULL
        OP_UNLESS
        OP_AND
        OP_OR
        OP_NOT
        OP_OTHERWISE
        OP_AS_TRUTH
        OP_AS_NUMBER
        OP_AS_WORD
        OP_NEGATE
        OP_ADD
        OP_SUBTRACT
        OP_MULTIPLY
        OP_DIVIDE
        OP_REMAINDER
    enum:
        RELATION_LESS
        RELATION_EQUAL
        RELATION_GREATER
        RELATION_OTHER
    enum:
        FACT_PRIORITY
        FACT_EXPIRES
        FACT_ID
        FACT_SIZE
        FACT_DELIVERIES
        FACT_REDELIVERED
    enum ValueKind:
        IS_NULL
        IS_WHOLE
    struct Value:
        ValueKind kind
        int64_t whole
        double real
    struct Op:
        uint8_t what
        uint8_t flag
        uint16_t count
        uint32_t place
        int64_t whole
        double real
        uint32_t start
        uint32_t length
    struct HeaderName:
        const char *text
        size_t length
    struct Names:
        const HeaderName *all
        uint32_t count
        uint64_t lengths
    struct Program:
        const Op *ops
        Names names
        const char *texts
        const char *id_prefix
        uint32_t id_prefix_length
        uint32_t op_count
    struct Span:
        const char *text
        size_t length
    struct Facts:
        const char *head
        size_t head_length
        size_t body_length
        const Properties *properties
        uint64_t number
        uint32_t deliveries
    Value number_of_text(const char *text, size_t length)
    Value value_of_header(Span *span)
    Value as_number(Value value)
    uint64_t length_bit(size_t length)
    void find_headers(const Names *names, const char *line, size_t length, Span *found, int64_t most, int64_t *steps)
    uint64_t key_of_text(const HeaderName *name, const char *text, size_t length, uint64_t seed)
    uint64_t key_of_number(const HeaderName *name, Value number, uint64_t seed)
    uint64_t selector_key(const Program *program, uint64_t seed)
    int selector_run(const Program *program, const Facts *facts, int64_t *steps)


cdef enum:
    SELECTOR_LONGEST = 4096     # bytes of a selector
    RUN_WORK = 64               # what a run costs beside its steps, in bytes of output ...
    STEP_WORK = 16              # ... and each of those


@cython.final
@cython.no_gc
cdef class Selector:
    """Never changed, and asked from C alone."""
    cdef Program program
    cdef bytes kept             # what it points to
    cdef bytes id_prefix
    cdef readonly uint64_t key  # of all that it wants; 0: there is none
    cdef readonly int64_t cost  # bytes of itself

    cdef inline const HeaderName *key_name(self) noexcept:
        return &self.program.names.all[self.program.ops[0].place]

    cdef inline bint selects(self, const Content *content, uint64_t number, uint32_t deliveries,
                             int64_t *work) noexcept:
        """Whether a message is wanted: its number, and which delivery of it this would be. What that takes is added to
        `work`."""
        cdef Facts facts
        cdef int64_t steps = 0
        cdef bint wanted
        facts.head = content.head
        facts.head_length = content.head_length
        facts.body_length = content.body_length
        facts.properties = content.properties
        facts.number = number
        facts.deliveries = deliveries
        wanted = selector_run(&self.program, &facts, &steps)
        work[0] += RUN_WORK + STEP_WORK * steps
        return wanted


cdef Selector selector_of(bytes text, bytes epoch, uint64_t seed, Census *census)
