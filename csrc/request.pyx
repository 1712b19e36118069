"""The request that opens a WebSocket, in the one shape that clients give it (RFC 6455, section 4.1).

    GET /ws?query HTTP/1.1 CR LF
    Host: broker.example:15674 CR LF                once
    Upgrade: websocket CR LF                        a list, once
    Connection: keep-alive, Upgrade CR LF           a list, once
    Sec-WebSocket-Version: 13 CR LF                 once
    Sec-WebSocket-Key: ... CR LF                    once
    Origin: https://chat.example CR LF              at most once
    Sec-WebSocket-Protocol: v12.stomp CR LF         at most once
    name: value CR LF                               any other, but none that announces a body

Names are tokens, values are printable ASCII. Everything else - other requests, and whatever two readers could
understand in two ways - is not read here but by h11 and web/http.py, which say what is wrong with it.
"""
from libc.string cimport memchr, memcmp

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t length)

cdef enum:
    IN_TOKEN = 1
    IN_VALUE = 2
    IN_TARGET = 4
    MOST_HEADERS = 64

cdef enum:
    # what a request may have once
    HOST, UPGRADE, CONNECTION, VERSION, KEY, ORIGIN, PROTOCOL, KNOWN
    OTHER
    BODY

cdef struct Part:
    const char *bytes
    Py_ssize_t length

cdef unsigned char kinds[256]   # of bytes

NAMES = {
    b"host": HOST, b"upgrade": UPGRADE, b"connection": CONNECTION, b"sec-websocket-version": VERSION,
    b"sec-websocket-key": KEY, b"origin": ORIGIN, b"sec-websocket-protocol": PROTOCOL,
    b"content-length": BODY, b"transfer-encoding": BODY,
}


cdef int sort_bytes() except -1:
    cdef int byte
    for byte in range(0x21, 0x7f):
        kinds[byte] = IN_VALUE | IN_TARGET
        if chr(byte).isalnum() or chr(byte) in "!#$%&'*+-.^_`|~":
            kinds[byte] |= IN_TOKEN
    kinds[c' '] = kinds[c'\t'] = IN_VALUE
    return 0


sort_bytes()


cdef bint are(Part text, int kind) noexcept:
    cdef Py_ssize_t i
    for i in range(text.length):
        if not kinds[<unsigned char>text.bytes[i]] & kind:
            return False
    return True


cdef Part part(const char *start, const char *end) noexcept:
    cdef Part found
    found.bytes = start
    found.length = end - start
    return found


cdef Part stripped(Part text) noexcept:
    while text.length and text.bytes[0] in (c' ', c'\t'):
        text.bytes += 1
        text.length -= 1
    while text.length and text.bytes[text.length - 1] in (c' ', c'\t'):
        text.length -= 1
    return text


cdef bint has_word(Part text, const char *word, Py_ssize_t length) noexcept:
    """Whether a list has a word, in letters of any case."""
    cdef const char *at = text.bytes
    cdef const char *end = text.bytes + text.length
    cdef const char *comma
    cdef Part found
    while True:
        comma = <const char *>memchr(at, c',', end - at)
        found = stripped(part(at, end if comma == NULL else comma))
        if found.length == length and strncasecmp(found.bytes, word, length) == 0:
            return True
        if comma == NULL:
            return False
        at = comma + 1


cdef bint take_line(const char **at, const char *end, Part *line) noexcept:
    """The next line, without its end; a lone CR or LF is in it, and no kind of byte that may be."""
    cdef const char *found = <const char *>memchr(at[0], c'\r', end - at[0])
    if found != NULL and (found + 1 == end or found[1] != c'\n'):
        return False
    line[0] = part(at[0], end if found == NULL else found)
    at[0] = end if found == NULL else found + 2
    return True


cdef bint read_target(Part line, Part *path) noexcept:
    cdef const char *query
    if line.length < 14 or memcmp(line.bytes, b"GET /", 5) != 0:
        return False
    if memcmp(line.bytes + line.length - 9, b" HTTP/1.1", 9) != 0:
        return False
    path[0] = part(line.bytes + 4, line.bytes + line.length - 9)
    if not are(path[0], IN_TARGET):
        return False
    query = <const char *>memchr(path.bytes, c'?', path.length)
    if query != NULL:
        path.length = query - path.bytes
    return True


cdef bint read_header(Part line, Part *known) except -1:
    cdef const char *colon = <const char *>memchr(line.bytes, c':', line.length)
    cdef Part name, value
    cdef int which
    if colon == NULL:
        return False
    name = part(line.bytes, colon)
    value = stripped(part(colon + 1, line.bytes + line.length))
    if name.length == 0 or not are(name, IN_TOKEN) or not are(value, IN_VALUE):
        return False
    which = NAMES.get(name.bytes[:name.length].lower(), OTHER)
    if which == OTHER:
        return True
    if which == BODY or known[which].bytes != NULL:
        return False
    known[which] = value
    return True


cdef bint opens(const Part *known) noexcept:
    """Whether all is there that makes it the request for a WebSocket."""
    if known[HOST].bytes == NULL or known[KEY].bytes == NULL or known[VERSION].length != 2:
        return False
    if known[UPGRADE].bytes == NULL or known[CONNECTION].bytes == NULL:
        return False
    if memcmp(known[VERSION].bytes, b"13", 2) != 0:
        return False
    return has_word(known[UPGRADE], b"websocket", 9) and has_word(known[CONNECTION], b"upgrade", 7)


cdef str text_of(Part found):
    return None if found.bytes == NULL else found.bytes[:found.length].decode("ascii")


def read_upgrade(bytes head not None):
    """(path, host, key, origin or None, subprotocols or None) of a request without its blank line; None for all
    others."""
    cdef const char *at = head
    cdef const char *end = at + len(head)
    cdef Part line, path
    cdef Part known[KNOWN]
    cdef int i
    for i in range(KNOWN):
        known[i] = part(NULL, NULL)
    if not take_line(&at, end, &line) or not read_target(line, &path):
        return None
    for i in range(MOST_HEADERS + 1):
        if at == end:
            break
        if not take_line(&at, end, &line) or not read_header(line, known):
            return None
    if at != end or not opens(known):
        return None
    return text_of(path), text_of(known[HOST]), text_of(known[KEY]), text_of(known[ORIGIN]), text_of(known[PROTOCOL])
