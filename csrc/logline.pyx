"""An event as one line of the log, made safe: not long, no secrets, no control characters.

    text    2026-11-29T06:48:34.123456Z [info     ] disconnected peer=127.0.0.1:5 reason='closed by client'
    json    {"timestamp":"2026-11-29T06:48:34.123456Z","level":"info","event":"disconnected","peer":"127.0.0.1:5", …}

A field that is None is left out of both.

The end of a connection is such a line, so this is a part of what a reconnect storm costs: one look at its bytes tells
that a text needs no mending, as nearly all do not.
"""
from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

import re
import time

import orjson

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)

LONGEST = 256

cdef enum:
    MOST = 256
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
cdef dict LEVELS = {level: f"[{level:9}]" for level in COLORS}


def json_line(str level not None, str event not None, fields):
    """One JSON object: timestamp, level and event, then the fields in their order."""
    line = {"timestamp": now(), "level": level, "event": clean(event)}
    for name, value in fields.items():
        if value is not None:
            line[name] = REDACTED if is_secret(name) else clean(value)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def text_line(str level not None, str event not None, fields):
    """For people, and for grep."""
    cdef list words = [now(), LEVELS[level], clean(event)]
    for name, value in fields.items():
        if value is not None:
            words.append(f"{name}={shown(name, value)}")
    return f"{' '.join(words)}\n".encode()


def coloured_line(str level not None, str event not None, fields):
    """For people at a terminal."""
    words = [f"{DIM}{now()}{RESET} [{COLORS[level]}{BOLD}{level:9}{RESET}] {BOLD}{clean(event)}{RESET}"]
    words += [f"{CYAN}{name}{RESET}={MAGENTA}{shown(name, value)}{RESET}" for name, value in fields.items()
              if value is not None]
    return f"{' '.join(words)}\n".encode()


cpdef clean(value):
    """Make a value fit for a line. Numbers stay numbers."""
    if type(value) is str:
        return value if look(value) != SUSPECT else mended(value)
    return value if value is None or isinstance(value, (int, float)) else mended(value)


cdef dict secrets = {}  # what is known of names, which are those in the code


cdef bint is_secret(str name) except -1:
    known = secrets.get(name)
    if known is None:
        known = secrets[name] = name.lower() in SECRET_NAMES
    return known


cdef str shown(str name, value):
    if is_secret(name):
        return REDACTED
    if type(value) is int or type(value) is float:
        return repr(value)
    if type(value) is str:
        kind = look(value)
        if kind != SUSPECT:
            return value if kind == WORD else repr(value)
    value = clean(value)
    return repr(value) if type(value) is not str or NEEDS_QUOTES.search(value) else value


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
cdef str last_text = ""


cdef str now():
    global last_second, last_text
    cdef timespec time_of_day
    cdef char fraction[16]
    clock_gettime(CLOCK_REALTIME, &time_of_day)
    if time_of_day.tv_sec != last_second:
        last_second = time_of_day.tv_sec
        last_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(last_second))
    length = snprintf(fraction, sizeof(fraction), ".%06ldZ", <long>(time_of_day.tv_nsec // 1000))
    return last_text + fraction[:length].decode("ascii")
