"""An event as one line of the log, made safe: not long, no secrets, no control characters.

    text    2026-11-29T06:48:34.123456Z [info     ] disconnected peer=127.0.0.1:5 reason='closed by client'
    json    {"timestamp":"2026-11-29T06:48:34.123456Z","level":"info","event":"disconnected","peer":"127.0.0.1:5", …}

A field that is None is left out of both.

The end of a connection is such a line, so this is a part of what a reconnect storm costs: one look at its bytes tells
that a text needs no mending, as nearly all do not.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

import re
import time

import orjson

from fastbroker.core.wire cimport NUMBER_SPACE, Text, put_number, text_free, text_put, text_reserve

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1

LONGEST = 256

cdef enum:
    MOST = 256
    USUAL = 512     # bytes of a line
    SECOND = 19     # characters of a time as far as seconds
    TIME = 27
    LONGEST_SECONDS = 1000000000
    # what a text is
    WORD = 0
    WORDS = 1       # stands in quotes
    SUSPECT = 2     # too long, perhaps not printable, perhaps with a secret

cdef frozenset SECRET_NAMES = frozenset({"passcode", "password", "authorization", "cookie", "token", "secret"})
SECRET = re.compile(rf"({'|'.join(sorted(SECRET_NAMES))})(\W{{0,2}}[:=])[^\r\n]+", re.IGNORECASE)
cdef str REDACTED = "[redacted]"
NEEDS_QUOTES = re.compile("[ \t=\r\n\"']")

RESET, BOLD, DIM, CYAN, MAGENTA = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[35m"
GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"
COLORS = {"debug": GREEN, "info": GREEN, "warning": YELLOW, "error": RED}


cdef class Name:
    """Of a field, with what stands around it."""
    cdef str text
    cdef bint is_secret


cdef class Style:
    """What stands around the parts of a line."""
    cdef str before_time
    cdef dict levels        # between the time and the event
    cdef str after_event
    cdef str before_name
    cdef str after_name
    cdef str after_value    # or None
    cdef dict names         # -> Name: those in the code


cdef Style plain_style():
    cdef Style style = Style()
    style.before_time = style.after_event = ""
    style.names = {}
    style.levels = {level: f" [{level:9}] " for level in COLORS}
    style.before_name, style.after_name = " ", "="
    return style


cdef Style coloured_style():
    cdef Style style = Style()
    style.before_time, style.after_event, style.after_value = DIM, RESET, RESET
    style.names = {}
    style.levels = {level: f"{RESET} [{COLORS[level]}{BOLD}{level:9}{RESET}] {BOLD}" for level in COLORS}
    style.before_name, style.after_name = f" {CYAN}", f"{RESET}={MAGENTA}"
    return style


cdef Style PLAIN = plain_style()
cdef Style COLOURED = coloured_style()


def json_line(str level not None, str event not None, dict fields not None):
    """One JSON object: timestamp, level and event, then the fields in their order."""
    cdef char time_of_day[TIME]
    stamp(time_of_day)
    line = {"timestamp": time_of_day[:TIME].decode("ascii"), "level": level, "event": clean(event)}
    for name, value in fields.items():
        if value is not None:
            line[name] = REDACTED if is_secret(name) else clean(value)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def text_line(str level not None, str event not None, dict fields not None):
    """For people, and for grep."""
    return styled(PLAIN, level, event, fields)


def coloured_line(str level not None, str event not None, dict fields not None):
    """For people at a terminal."""
    return styled(COLOURED, level, event, fields)


cdef bytes styled(Style style, str level, str event, dict fields):
    cdef Text line
    memset(&line, 0, sizeof(line))
    try:
        need(text_reserve(&line, USUAL) != NULL)
        put(&line, style.before_time)
        stamp(line.bytes + line.end)
        line.end += TIME
        put(&line, <str>style.levels[level])
        put(&line, clean(event))
        put(&line, style.after_event)
        for name, value in fields.items():
            if value is not None:
                put_field(&line, name_in(style, name), value)
                if style.after_value is not None:
                    put(&line, style.after_value)
        put(&line, "\n")
        return line.bytes[:line.end]
    finally:
        text_free(&line)


cdef int need(bint there) except -1:
    if not there:
        raise MemoryError()
    return 0


cdef int put(Text *line, str text) except -1:
    if not PyUnicode_IS_ASCII(text):
        return put_bytes(line, text.encode())
    need(text_put(line, <const char *>PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text)) == 0)
    return 0


cdef int put_bytes(Text *line, bytes text) except -1:
    need(text_put(line, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) == 0)
    return 0


cdef Name name_in(Style style, str name):
    cdef Name known = style.names.get(name)
    if known is None:
        known = Name()
        known.text = f"{style.before_name}{name}{style.after_name}"
        known.is_secret = is_secret(name)
        style.names[name] = known
    return known


cdef int put_field(Text *line, Name name, value) except -1:
    put(line, name.text)
    return put(line, REDACTED) if name.is_secret else put_value(line, value)


cdef int put_value(Text *line, value) except -1:
    cdef int kind
    if type(value) is int:
        return put_whole(line, value)
    if type(value) is float:
        return put_float(line, value)
    if type(value) is str:
        kind = look(value)
        if kind != SUSPECT:
            return put(line, value if kind == WORD else repr(value))
    value = clean(value)
    return put(line, repr(value) if type(value) is not str or NEEDS_QUOTES.search(value) else value)


cdef int put_whole(Text *line, number) except -1:
    cdef int overflow = 0
    cdef long long value = PyLong_AsLongLongAndOverflow(number, &overflow)
    cdef char digits[NUMBER_SPACE]
    if overflow or value < 0:
        return put(line, repr(number))
    need(text_put(line, digits, put_number(digits, <uint64_t>value)) == 0)
    return 0


cdef int put_float(Text *line, double number) except -1:
    """As Python writes it, and seconds with a millisecond's precision without asking Python how."""
    cdef int64_t thousandths
    cdef char digits[NUMBER_SPACE + 4]
    cdef size_t length
    if 0 < number < LONGEST_SECONDS:
        thousandths = <int64_t>(number * 1000 + 0.5)
        if thousandths and thousandths / 1000.0 == number:
            length = put_number(digits, thousandths // 1000)
            length += put_fraction(digits + length, thousandths % 1000)
            need(text_put(line, digits, length) == 0)
            return 0
    return put(line, repr(number))


cdef size_t put_fraction(char *out, int64_t thousandths) noexcept:
    """A point, and digits up to the last that is not 0, or one 0."""
    cdef size_t length = 4
    out[0] = c'.'
    out[1] = <char>(c'0' + thousandths // 100)
    out[2] = <char>(c'0' + thousandths // 10 % 10)
    out[3] = <char>(c'0' + thousandths % 10)
    while length > 2 and out[length - 1] == c'0':
        length -= 1
    return length


cpdef clean(value):
    """Make a value fit for a line. Numbers stay numbers."""
    if type(value) is str:
        return value if look(value) != SUSPECT else mended(value)
    return value if value is None or isinstance(value, (int, float)) else mended(value)


cdef bint is_secret(str name) except -1:
    return name.lower() in SECRET_NAMES


cdef int look(str text) noexcept:
    """What a text is, from a look at each of its characters."""
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text), i
    cdef const unsigned char *letters = <const unsigned char *>PyUnicode_1BYTE_DATA(text)
    cdef int kind = WORD
    if length > MOST or not PyUnicode_IS_ASCII(text):
        return SUSPECT
    for i in range(length):
        if letters[i] < c' ' or letters[i] > c'~':
            return SUSPECT
        if letters[i] == c':' or letters[i] == c'=':
            if may_end_a_secret(letters, i):
                return SUSPECT
        if letters[i] == c' ' or letters[i] == c'=' or letters[i] == c'"' or letters[i] == c"'":
            kind = WORDS
    return kind


cdef bint may_end_a_secret(const unsigned char *letters, Py_ssize_t at) noexcept:
    """Whether the last letter in front of this, and of two others that are none, is one with which a secret's name
    ends."""
    cdef Py_ssize_t i = at - 1
    while i > 0 and i > at - 3 and not is_word(letters[i]):
        i -= 1
    return i >= 0 and (letters[i] | 32) in (c'd', c'e', c'n', c't')


cdef bint is_word(unsigned char letter) noexcept:
    return c'a' <= (letter | 32) <= c'z' or c'0' <= letter <= c'9' or letter == c'_'


cdef str mended(value):
    text = value[:MOST + 1].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) > MOST:
        text = f"{text[:MOST]}…"
    text = SECRET.sub(rf"\1\2{REDACTED}", text)
    return text if text.isprintable() else "".join([escaped(each) for each in text])


cdef str escaped(str character):
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


# The second that was written last, as most lines have the same one as the line before.
cdef int64_t last_second = -1
cdef char last_text[SECOND]


cdef int stamp(char *out) except -1:
    """The time, in TIME characters."""
    global last_second
    cdef timespec time_of_day
    cdef bytes text
    cdef long part
    cdef int i
    clock_gettime(CLOCK_REALTIME, &time_of_day)
    if time_of_day.tv_sec != last_second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_of_day.tv_sec)).encode()
        memcpy(last_text, PyBytes_AS_STRING(text), SECOND)
        last_second = time_of_day.tv_sec
    memcpy(out, last_text, SECOND)
    out[SECOND] = c'.'
    part = time_of_day.tv_nsec // 1000
    for i in range(TIME - 2, SECOND, -1):
        out[i] = <char>(c'0' + part % 10)
        part //= 10
    out[TIME - 1] = c'Z'
    return 0
