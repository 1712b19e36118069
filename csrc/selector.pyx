"""Selectors, from what a client wrote to the program that csrc/selector.h runs: SQL-92 as JMS has it.

    condition   half { OR half }                half        turn { AND turn }
    turn        [NOT] comparison
    comparison  sum [ (= | <> | < | <= | > | >=) sum
                    | [NOT] BETWEEN sum AND sum | [NOT] IN (literal {, literal})
                    | [NOT] LIKE 'text' [ESCAPE 'c'] | IS [NOT] NULL ]
    sum         product { (+ | -) product }     product     factor { (* | / | %) factor }
    factor      [+ | -] factor | ( condition ) | literal | name | "name"
    literal     'it''s' | 12 | 12L | 0x1f | 017 | 1.5e3 | TRUE | FALSE
    name        letters, digits, _ $ . and hyphens between those: content-type

Words of the language may be written small. Comments are -- to the end of the line and /* these */. It is read once,
from front to back; nothing of it is kept but the program. What has no meaning is refused, and the position said,
counted in characters from 1.

Names that JMS and Artemis give to what a message is are known below; every other is the header of that name.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport encoded, shown
from fastbroker.core.wire cimport Census, Text, text_free, text_put

from fastbroker.core.frame import Refused

cdef enum:
    NESTED_MOST = 64        # brackets, NOT and signs inside of each other
    COST = 256              # bytes of a Selector beside its program
    PARSE_WORK = 1024       # what reading a byte costs, in bytes of output
    SHOWN = 20              # bytes of what cannot be understood, in an ERROR


cdef enum Kind:
    KIND_ANY = 1            # a header: whatever it is taken for
    KIND_CONDITION
    KIND_NUMBER
    KIND_TEXT

cdef enum Token:
    TOKEN_END
    TOKEN_NAME
    TOKEN_QUOTED            # "a name"
    TOKEN_TEXT
    TOKEN_WHOLE
    TOKEN_REAL
    TOKEN_EQUAL             # signs, and words of the language
    TOKEN_OTHER
    TOKEN_LESS
    TOKEN_NOT_MORE
    TOKEN_MORE
    TOKEN_NOT_LESS
    TOKEN_PLUS
    TOKEN_MINUS
    TOKEN_TIMES
    TOKEN_SLASH
    TOKEN_PERCENT
    TOKEN_OPEN
    TOKEN_CLOSE
    TOKEN_COMMA
    TOKEN_AND
    TOKEN_OR
    TOKEN_NOT
    TOKEN_BETWEEN
    TOKEN_LIKE
    TOKEN_ESCAPE
    TOKEN_IN
    TOKEN_IS
    TOKEN_NULL
    TOKEN_TRUE
    TOKEN_FALSE
    TOKEN_XPATH
    TOKEN_XQUERY

PREFIXES = (b"convert_string_expressions:", b"hyphenated_props:")   # what they ask for is always so
SIGNS = {
    b"=": TOKEN_EQUAL, b"<>": TOKEN_OTHER, b"<": TOKEN_LESS, b"<=": TOKEN_NOT_MORE, b">": TOKEN_MORE,
    b">=": TOKEN_NOT_LESS, b"+": TOKEN_PLUS, b"-": TOKEN_MINUS, b"*": TOKEN_TIMES, b"/": TOKEN_SLASH,
    b"%": TOKEN_PERCENT, b"(": TOKEN_OPEN, b")": TOKEN_CLOSE, b",": TOKEN_COMMA,
}
WORDS = {
    b"AND": TOKEN_AND, b"OR": TOKEN_OR, b"NOT": TOKEN_NOT, b"BETWEEN": TOKEN_BETWEEN, b"LIKE": TOKEN_LIKE,
    b"ESCAPE": TOKEN_ESCAPE, b"IN": TOKEN_IN, b"IS": TOKEN_IS, b"NULL": TOKEN_NULL, b"TRUE": TOKEN_TRUE,
    b"FALSE": TOKEN_FALSE, b"XPATH": TOKEN_XPATH, b"XQUERY": TOKEN_XQUERY,
}
LONGEST_WORD = max(len(word) for word in WORDS)
KINDS = {KIND_CONDITION: b"a condition", KIND_NUMBER: b"a number", KIND_TEXT: b"text"}

# Other names of headers; the first of several that is there.
HEADERS = {
    b"JMSDestination": (b"destination",), b"AMQAddress": (b"destination",),
    b"JMSReplyTo": (b"reply-to",), b"JMSType": (b"type",), b"JMSCorrelationID": (b"correlation-id",),
    b"JMSTimestamp": (b"timestamp",), b"AMQTimestamp": (b"timestamp",),
    b"JMSXGroupID": (b"JMSXGroupID", b"message_group"), b"AMQGroupID": (b"JMSXGroupID", b"message_group"),
}
# Whether `persistent` is true.
MODES = {b"JMSDeliveryMode": (b"PERSISTENT", b"NON_PERSISTENT"), b"AMQDurable": (b"DURABLE", b"NON_DURABLE")}
# What the broker knows.
FACTS = {
    b"JMSPriority": (FACT_PRIORITY, KIND_NUMBER), b"AMQPriority": (FACT_PRIORITY, KIND_NUMBER),
    b"JMSExpiration": (FACT_EXPIRES, KIND_NUMBER), b"AMQExpiration": (FACT_EXPIRES, KIND_NUMBER),
    b"JMSMessageID": (FACT_ID, KIND_TEXT), b"AMQUserID": (FACT_ID, KIND_TEXT), b"AMQSize": (FACT_SIZE, KIND_NUMBER),
    b"JMSXDeliveryCount": (FACT_DELIVERIES, KIND_NUMBER), b"JMSRedelivered": (FACT_REDELIVERED, KIND_CONDITION),
}


cdef Selector selector_of(bytes text, bytes epoch, uint64_t seed, Census *census):
    """None for one that says nothing. Raises Refused for one that cannot be understood. The seed is that of keys."""
    cdef Compiler compiler = Compiler()
    cdef size_t start
    if len(text) > SELECTOR_LONGEST:
        raise Refused(b"bad selector", b"The selector is longer than %d bytes." % SELECTOR_LONGEST)
    census.work += PARSE_WORK * <int64_t>len(text)
    compiler.text = text
    compiler.bytes = text
    compiler.length = len(text)
    compiler.end = behind_prefixes(text)
    advance(compiler)
    if compiler.token == TOKEN_END:
        return None
    start = compiler.start
    wanted(compiler, start, condition(compiler), KIND_CONDITION)
    if compiler.token != TOKEN_END:
        raise wrong(compiler, compiler.start, b"AND, OR or the end is wanted here")
    return made(compiler, epoch, seed)


cdef size_t behind_prefixes(bytes text):
    cdef size_t start = 0
    while text.startswith(PREFIXES, start):
        start = text.index(b":", start) + 1
    return start


cdef Selector made(Compiler compiler, bytes epoch, uint64_t seed):
    """The program in one piece: ops, names, texts, those of the names."""
    cdef Selector new = Selector()
    cdef bytes ops = compiler.ops.bytes[:compiler.ops.end]
    cdef bytes names = bytes(len(compiler.slots) * sizeof(HeaderName))
    cdef bytes texts = compiler.texts.bytes[:compiler.texts.end] if compiler.texts.end else b""
    new.kept = ops + names + texts + b"".join(compiler.slots)
    new.program.ops = <const Op *><const char *>new.kept
    new.program.op_count = op_count(compiler)
    new.program.texts = <const char *>new.kept + len(ops) + len(names)
    put_names(&new.program.names, compiler.slots, <HeaderName *>(<const char *>new.kept + len(ops)),
              new.program.texts + len(texts))
    new.id_prefix = epoch[:ID_PREFIX_MOST - 1] + b"-"
    new.program.id_prefix = new.id_prefix
    new.program.id_prefix_length = <uint32_t>len(new.id_prefix)
    new.key = selector_key(&new.program, seed)
    new.cost = COST + len(new.kept)
    return new


cdef int put_names(Names *names, dict slots, HeaderName *name, const char *text) except -1:
    names.all = name
    names.count = <uint32_t>len(slots)
    for form in slots:
        name.text = text
        name.length = len(<bytes>form)
        names.lengths |= length_bit(name.length)
        text += name.length
        name += 1
    return 0


cdef class Selector:
    pass


cdef class Compiler:
    """What is being read, and what has come of it."""
    cdef bytes text
    cdef const char *bytes
    cdef size_t length
    cdef int token          # the one that is looked at: from `start` to `end`
    cdef size_t start
    cdef size_t end
    cdef bytes word         # of a name or a text: what it says
    cdef Op literal         # of a number
    cdef int nested
    cdef int depth          # values on the stack
    cdef dict slots         # name -> its place
    cdef Text ops
    cdef Text texts

    def __cinit__(self):
        self.slots = {}

    def __dealloc__(self):
        text_free(&self.ops)
        text_free(&self.texts)


cdef object wrong(Compiler self, size_t position, bytes what):
    """What is raised for what stands there."""
    cdef int character = len(self.text[:position].decode("utf-8", "ignore")) + 1
    cdef bytes there = shown(self.text[position:position + SHOWN])
    if not there:
        return Refused(b"bad selector", b"The selector ends too early, at character %d: %b." % (character, what))
    return Refused(b"bad selector",
                   b"The selector is wrong at character %d, before `%b`: %b." % (character, there, what))


# ---- what it is made of ----

cdef inline bint in_name(char byte) noexcept:
    return (c"a" <= (byte | 0x20) <= c"z" or c"0" <= byte <= c"9" or byte == c"_" or byte == c"$" or byte == c"."
            or byte & 0x80)


cdef int advance(Compiler self) except -1:
    """To the next token."""
    cdef char byte
    skip_blanks(self)
    self.start = self.end
    if self.end == self.length:
        self.token = TOKEN_END
        return 0
    byte = self.bytes[self.end]
    if c"0" <= byte <= c"9" or (byte == c"." and c"0" <= peek(self, 1) <= c"9"):
        return take_number(self)
    if in_name(byte):
        return take_name(self)
    if byte == c"'" or byte == c'"':
        return take_quoted(self, byte)
    return take_sign(self)


cdef inline char peek(Compiler self, size_t ahead) noexcept:
    return self.bytes[self.end + ahead] if self.end + ahead < self.length else 0


cdef int skip_blanks(Compiler self) except -1:
    """And comments."""
    cdef Py_ssize_t close
    while self.end < self.length:
        if self.bytes[self.end] in b" \t\r\n\f":
            self.end += 1
        elif peek(self, 0) == c"-" and peek(self, 1) == c"-":
            close = self.text.find(b"\n", self.end)
            self.end = self.length if close < 0 else close
        elif peek(self, 0) == c"/" and peek(self, 1) == c"*":
            close = self.text.find(b"*/", self.end + 2)
            if close < 0:
                raise wrong(self, self.end, b"the comment has no end")
            self.end = close + 2
        else:
            return 0
    return 0


cdef int take_name(Compiler self) except -1:
    """A hyphen between two characters of a name belongs to it."""
    while in_name(peek(self, 0)) or (peek(self, 0) == c"-" and in_name(peek(self, 1))):
        self.end += 1
    self.word = self.text[self.start:self.end]
    self.token = TOKEN_NAME
    if self.end - self.start <= <size_t>LONGEST_WORD:
        self.token = WORDS.get(self.word.upper(), TOKEN_NAME)
    return 0


cdef int take_quoted(Compiler self, char quote) except -1:
    """Up to the next quote; two of them are one that belongs to it."""
    cdef bytes mark = b"'" if quote == c"'" else b'"'
    cdef Py_ssize_t close = self.text.find(mark, self.end + 1)
    while close >= 0 and self.text[close + 1:close + 2] == mark:
        close = self.text.find(mark, close + 2)
    if close < 0:
        raise wrong(self, self.start, b"the text has no end")
    self.word = self.text[self.start + 1:close].replace(mark + mark, mark)
    self.token = TOKEN_TEXT if quote == c"'" else TOKEN_QUOTED
    self.end = close + 1
    return 0


cdef int take_sign(Compiler self) except -1:
    """The longer one, if there are two that begin like that."""
    cdef bytes sign = self.text[self.start:self.start + 2]
    if sign not in SIGNS:
        sign = sign[:1]
    if sign not in SIGNS:
        raise wrong(self, self.start, b"this means nothing here")
    self.token = SIGNS[sign]
    self.end = self.start + len(sign)
    return 0


cdef int take_number(Compiler self) except -1:
    cdef bint is_hex = peek(self, 0) == c"0" and peek(self, 1) | 0x20 == c"x"
    while in_name(peek(self, 0)) or (peek(self, 0) in b"+-" and self.bytes[self.end - 1] in b"eE" and not is_hex
                                     and self.end > self.start and c"0" <= peek(self, 1) <= c"9"):
        self.end += 1
    if not read_number(self.text[self.start:self.end], is_hex, &self.literal):
        raise wrong(self, self.start, b"this is no number")
    self.token = TOKEN_WHOLE if self.literal.what == OP_WHOLE else TOKEN_REAL
    return 0


cdef bint read_number(bytes text, bint is_hex, Op *literal) except -1:
    """As Java writes them: 12, 12L, 0x1f, 017, 1.5e3."""
    cdef Value value
    cdef int base = 16 if is_hex else 8 if text[:1] == b"0" and text.rstrip(b"lL").isdigit() else 10
    if text.endswith((b"l", b"L")):
        text = text[:len(text) - 1]
        if base == 10 and not text.isdigit():
            return False
    if base != 10:
        return read_in_base(text[2:] if is_hex else text, base, literal)
    value = number_of_text(text, len(text))
    literal.what = OP_WHOLE if value.kind == IS_WHOLE else OP_REAL
    literal.whole = value.whole     # or the bytes of `real`
    return value.kind != IS_NULL


cdef bint read_in_base(bytes digits, int base, Op *literal) except -1:
    cdef object number
    if not digits or digits.lower().strip(b"0123456789abcdef"[:base]):
        return False
    number = int(digits, base)
    if number < 1 << 63:
        literal.what = OP_WHOLE
        literal.whole = number
    else:
        literal.what = OP_REAL
        literal.real = float(number) if number < 1 << 1000 else float("inf")
    return True


# ---- what comes of it ----

cdef inline uint32_t op_count(Compiler self) noexcept:
    return <uint32_t>(self.ops.end // sizeof(Op))


cdef inline Op *op_at(Compiler self, uint32_t place) noexcept:
    return <Op *>self.ops.bytes + place


cdef Op *emit(Compiler self, int what, int values) except NULL:
    """Another op, after which there are so many more values on the stack, or fewer."""
    cdef Op op
    op.what = what
    op.flag = 0
    op.count = 0
    op.place = 0
    op.whole = 0
    self.depth += values
    if self.depth > SELECTOR_STACK:
        raise wrong(self, self.start, b"too much must be kept in mind until here; brackets at the left need less")
    if op_count(self) == SELECTOR_OPS:
        raise wrong(self, self.start, b"a selector may have %d names, values and what joins them" % SELECTOR_OPS)
    if text_put(&self.ops, <const char *>&op, sizeof(Op)) < 0:
        raise MemoryError()
    return op_at(self, op_count(self) - 1)


cdef uint32_t put_text(Compiler self, bytes text) except? 0xffffffff:
    """Where it stands among the texts."""
    cdef uint32_t start = <uint32_t>self.texts.end
    if text_put(&self.texts, text, len(text)) < 0:
        raise MemoryError()
    return start


cdef int emit_text(Compiler self, bytes text, int values) except -1:
    """In the encoding of the header lines that it is compared with."""
    cdef bytes form = encoded(text, 12)
    cdef uint32_t start = put_text(self, form)
    cdef Op *op = emit(self, OP_TEXT, values)
    op.start = start
    op.length = <uint32_t>len(form)
    return 0


cdef uint32_t slot_of(Compiler self, bytes name) except? 0xffffffff:
    """The place of a header; its name is kept in the encoding of header lines."""
    cdef bytes form = encoded(name, 12)
    if form in self.slots:
        return self.slots[form]
    if len(self.slots) == SELECTOR_NAMES:
        raise wrong(self, self.start, b"a selector may name %d headers" % SELECTOR_NAMES)
    self.slots[form] = len(self.slots)
    return self.slots[form]


cdef int emit_header(Compiler self, bytes name) except -1:
    cdef uint32_t slot = slot_of(self, name)
    emit(self, OP_HEADER, 1).place = slot
    return 0


cdef int wanted(Compiler self, size_t start, int kind, int needed) except -1:
    """What was read from there on is, or may be taken for, what is needed."""
    if kind != needed and kind != KIND_ANY:
        raise wrong(self, start, b"%b is wanted here, and this is %b" % (KINDS[needed], KINDS[kind]))
    if kind == KIND_ANY and needed == KIND_CONDITION:
        emit(self, OP_AS_TRUTH, 0)
    return 0


cdef bint passed(Compiler self, int token) except -1:
    """Whether it stands there; then what follows is looked at."""
    if self.token != token:
        return False
    advance(self)
    return True


cdef int must_pass(Compiler self, int token, bytes name) except -1:
    if not passed(self, token):
        raise wrong(self, self.start, b"%b is wanted here" % name)
    return 0


# ---- conditions ----

cdef int nest(Compiler self) except -1:
    self.nested += 1
    if self.nested > NESTED_MOST:
        raise wrong(self, self.start, b"this is too deep inside; %d levels are allowed" % NESTED_MOST)
    return 0


cdef int condition(Compiler self) except -1:
    """Returns its kind, as all below do: a condition may be no more than a number in brackets."""
    cdef size_t start = self.start
    cdef int kind = half(self)
    while self.token == TOKEN_OR:
        wanted(self, start, kind, KIND_CONDITION)
        join(self, half, True, OP_OR)
        kind = KIND_CONDITION
    return kind


cdef int half(Compiler self) except -1:
    cdef size_t start = self.start
    cdef int kind = turn(self)
    while self.token == TOKEN_AND:
        wanted(self, start, kind, KIND_CONDITION)
        join(self, turn, False, OP_AND)
        kind = KIND_CONDITION
    return kind


ctypedef int (*Part)(Compiler self) except -1


cdef int join(Compiler self, Part part, bint decides, int what) except -1:
    """With what follows, which is not looked at where the left decides."""
    cdef uint32_t unless = op_count(self)
    cdef size_t start
    emit(self, OP_UNLESS, 0).flag = decides
    advance(self)
    start = self.start
    wanted(self, start, part(self), KIND_CONDITION)
    emit(self, what, -1)
    op_at(self, unless).place = op_count(self)
    return 0


cdef int turn(Compiler self) except -1:
    cdef size_t start
    if not passed(self, TOKEN_NOT):
        return comparison(self)
    nest(self)
    start = self.start
    wanted(self, start, turn(self), KIND_CONDITION)
    emit(self, OP_NOT, 0)
    self.nested -= 1
    return KIND_CONDITION


cdef int comparison(Compiler self) except -1:
    cdef size_t start = self.start
    cdef int kind = sum_of(self)
    cdef bint negated
    if TOKEN_EQUAL <= self.token <= TOKEN_NOT_LESS:
        return relation(self, start, kind)
    if passed(self, TOKEN_IS):
        return is_null(self)
    negated = passed(self, TOKEN_NOT)
    if passed(self, TOKEN_BETWEEN):
        between(self, start, kind)
    elif passed(self, TOKEN_LIKE):
        wanted(self, start, kind, KIND_TEXT)
        like(self)
    elif passed(self, TOKEN_IN):
        in_list(self, start, kind)
    elif negated:
        raise wrong(self, self.start, b"BETWEEN, LIKE or IN is wanted here")
    else:
        return kind
    if negated:
        emit(self, OP_NOT, 0)
    return KIND_CONDITION


cdef int flag_of(int token) noexcept:
    if token == TOKEN_EQUAL:
        return RELATION_EQUAL
    if token == TOKEN_OTHER:
        return RELATION_OTHER
    if token == TOKEN_LESS:
        return RELATION_LESS
    if token == TOKEN_NOT_MORE:
        return RELATION_LESS | RELATION_EQUAL
    return RELATION_GREATER if token == TOKEN_MORE else RELATION_GREATER | RELATION_EQUAL


cdef int relation(Compiler self, size_t start, int kind) except -1:
    cdef int flag = flag_of(self.token)
    cdef size_t second
    cdef int other
    advance(self)
    second = self.start
    if flag == RELATION_EQUAL or flag == RELATION_OTHER:
        other = sum_of(self)
        comparable(self, second, other, kind)
    else:
        wanted(self, start, kind, KIND_NUMBER)
        other = sum_of(self)
        wanted(self, second, other, KIND_NUMBER)
    emit(self, OP_COMPARE, -1).flag = flag
    return KIND_CONDITION


cdef int comparable(Compiler self, size_t start, int kind, int other) except -1:
    if kind != other and kind != KIND_ANY and other != KIND_ANY:
        raise wrong(self, start, b"%b cannot be equal to %b" % (KINDS[kind], KINDS[other]))
    return 0


cdef int is_null(Compiler self) except -1:
    cdef bint negated = passed(self, TOKEN_NOT)
    must_pass(self, TOKEN_NULL, b"NULL")
    emit(self, OP_IS_NULL, 0)
    if negated:
        emit(self, OP_NOT, 0)
    return KIND_CONDITION


cdef int between(Compiler self, size_t start, int kind) except -1:
    cdef size_t low = self.start, high
    wanted(self, start, kind, KIND_NUMBER)
    wanted(self, low, sum_of(self), KIND_NUMBER)
    must_pass(self, TOKEN_AND, b"AND")
    high = self.start
    wanted(self, high, sum_of(self), KIND_NUMBER)
    emit(self, OP_BETWEEN, -2)
    return 0


cdef int in_list(Compiler self, size_t start, int kind) except -1:
    cdef uint32_t place = op_count(self)
    emit(self, OP_IN, 0)
    must_pass(self, TOKEN_OPEN, b"(")
    list_item(self, start, kind)
    while passed(self, TOKEN_COMMA):
        list_item(self, start, kind)
    must_pass(self, TOKEN_CLOSE, b")")
    op_at(self, place).count = op_count(self) - place - 1
    return 0


cdef int list_item(Compiler self, size_t start, int kind) except -1:
    """Text or a number. It is not put onto the stack."""
    cdef size_t here = self.start
    cdef bint negated = passed(self, TOKEN_MINUS)
    if self.token == TOKEN_TEXT and not negated:
        comparable(self, here, KIND_TEXT, kind)
        emit_text(self, self.word, 0)
    elif self.token == TOKEN_WHOLE or self.token == TOKEN_REAL:
        comparable(self, here, KIND_NUMBER, kind)
        emit_number(self, negated, 0)
    else:
        raise wrong(self, self.start, b"text or a number is wanted here")
    return advance(self)


# ---- LIKE ----

cdef int like(Compiler self) except -1:
    """Its parts stand behind it."""
    cdef bytes pattern = text_here(self)
    cdef str escape = ""
    cdef uint32_t place
    if passed(self, TOKEN_ESCAPE):
        start = self.start
        escape = text_here(self).decode("utf-8", "surrogateescape")
        if len(escape) != 1:
            raise wrong(self, start, b"one character is wanted here")
    place = op_count(self)
    emit(self, OP_LIKE, 0)
    put_parts(self, pattern.decode("utf-8", "surrogateescape"), escape)
    op_at(self, place).count = op_count(self) - place - 1
    return 0


cdef bytes text_here(Compiler self):
    cdef bytes text = self.word
    if self.token != TOKEN_TEXT:
        raise wrong(self, self.start, b"text is wanted here")
    advance(self)
    return text


cdef int put_parts(Compiler self, str pattern, str escape) except -1:
    cdef str plain = ""
    cdef object characters = iter(pattern)
    cdef bint after_run = False
    for character in characters:
        if character == escape:
            character = next(characters, None)
            if character is None:
                raise wrong(self, self.start, b"the text of LIKE ends with its ESCAPE")
        elif character in "%_":
            put_plain(self, plain)
            after_run = after_run and not plain
            plain = ""
            if character == "_" or not after_run:
                emit(self, OP_ONE if character == "_" else OP_RUN, 0)
            after_run = character == "%"
            continue
        plain += character
    return put_plain(self, plain)


cdef int put_plain(Compiler self, str plain) except -1:
    return emit_text(self, plain.encode("utf-8", "surrogateescape"), 0) if plain else 0


# ---- numbers, texts, names ----

cdef int sum_of(Compiler self) except -1:
    cdef size_t start = self.start
    cdef int kind = product(self)
    while self.token == TOKEN_PLUS or self.token == TOKEN_MINUS:
        wanted(self, start, kind, KIND_NUMBER)
        kind = calculate(self, product, OP_ADD if self.token == TOKEN_PLUS else OP_SUBTRACT)
    return kind


cdef int product(Compiler self) except -1:
    cdef size_t start = self.start
    cdef int kind = factor(self)
    while TOKEN_TIMES <= self.token <= TOKEN_PERCENT:
        wanted(self, start, kind, KIND_NUMBER)
        kind = calculate(self, factor, OP_MULTIPLY + self.token - TOKEN_TIMES)     # they stand in the same order
    return kind


cdef int calculate(Compiler self, Part part, int what) except -1:
    cdef size_t start
    advance(self)
    start = self.start
    wanted(self, start, part(self), KIND_NUMBER)
    emit(self, what, -1)
    return KIND_NUMBER


cdef int factor(Compiler self) except -1:
    cdef int kind
    if self.token == TOKEN_PLUS or self.token == TOKEN_MINUS:
        return signed(self)
    if passed(self, TOKEN_OPEN):
        nest(self)
        kind = condition(self)
        self.nested -= 1
        must_pass(self, TOKEN_CLOSE, b")")
        return kind
    kind = operand(self)
    advance(self)
    return kind


cdef int signed(Compiler self) except -1:
    cdef int what = OP_NEGATE if self.token == TOKEN_MINUS else OP_AS_NUMBER
    cdef size_t start
    nest(self)
    advance(self)
    start = self.start
    wanted(self, start, factor(self), KIND_NUMBER)
    emit(self, what, 0)
    self.nested -= 1
    return KIND_NUMBER


cdef int operand(Compiler self) except -1:
    if self.token == TOKEN_NAME:
        return known_name(self, self.word)
    if self.token == TOKEN_QUOTED:
        emit_header(self, self.word)
        return KIND_ANY
    if self.token == TOKEN_TEXT:
        emit_text(self, self.word, 1)
        return KIND_TEXT
    if self.token == TOKEN_WHOLE or self.token == TOKEN_REAL:
        return emit_number(self, False, 1)
    if self.token == TOKEN_TRUE or self.token == TOKEN_FALSE:
        emit(self, OP_TRUTH, 1).flag = self.token == TOKEN_TRUE
        return KIND_CONDITION
    if self.token == TOKEN_NULL:
        raise wrong(self, self.start, b"nothing is equal to NULL; write IS NULL")
    if self.token == TOKEN_XPATH or self.token == TOKEN_XQUERY:
        raise wrong(self, self.start, b"XPATH and XQUERY are not supported: bodies are not looked into")
    raise wrong(self, self.start, b"a name, a number or text is wanted here")


cdef int emit_number(Compiler self, bint negated, int values) except -1:
    cdef Op *op = emit(self, self.literal.what, values)
    op.whole = self.literal.whole
    if negated and op.what == OP_WHOLE:
        op.whole = -op.whole
    elif negated:
        op.real = -op.real
    return KIND_NUMBER


cdef int known_name(Compiler self, bytes name) except -1:
    cdef tuple names
    if name in FACTS:
        which, kind = FACTS[name]
        emit(self, OP_FACT, 1).place = which
        return kind
    if name in MODES:
        return emit_mode(self, MODES[name])
    names = HEADERS.get(name, (name,))
    emit_header(self, names[0])
    if len(names) > 1:
        emit_header(self, names[1])
        emit(self, OP_OTHERWISE, -1)
    return KIND_ANY


cdef int emit_mode(Compiler self, tuple words) except -1:
    cdef bytes yes, no
    cdef uint32_t start
    cdef Op *op
    yes, no = words
    emit_header(self, b"persistent")
    start = put_text(self, yes + no)
    op = emit(self, OP_AS_WORD, 0)
    op.start = start
    op.length = <uint32_t>len(yes + no)
    op.count = len(yes)
    return KIND_TEXT
