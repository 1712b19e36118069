"""A face to Python of csrc/properties.pyx: the header lines of a SEND, and what they ask for."""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastbroker.core.frame cimport Frame, frame_free, frame_init
from fastbroker.core.parser cimport PARSE_FRAME, Parser, ParserLimits
from fastbroker.core.properties cimport read_properties
from fastbroker.core.wire cimport KNOWN_PROPERTY, SCAN_SLACK, Census, Properties, clocks_set, wall_now


def now():
    cdef Census census
    memset(&census, 0, sizeof(census))
    return wall_now(&census)


def read(bytes head not None, int version=12, long ahead=0):
    """What those header lines ask for; None: nothing that is not usual. False: no header of that kind is there."""
    cdef bytes stream = b"SEND\ndestination:/queue/a\n%b\n\0" % head
    cdef Parser parser = Parser()
    cdef ParserLimits limits
    cdef Census census
    cdef Frame frame
    cdef Properties found
    cdef char *bytes_ = <char *>malloc(len(stream) + SCAN_SLACK)
    memset(&limits, 0, sizeof(limits))
    memset(&census, 0, sizeof(census))
    limits.max_frame = limits.max_frame_before_login = limits.max_header_line = limits.max_header_block = 1 << 20
    limits.max_headers = 100
    clocks_set(&census, wall_now(&census) + ahead, 1)
    frame_init(&frame, 100)
    try:
        memcpy(bytes_, <const char *>stream, len(stream))
        parser.limits = &limits
        parser.version = version
        if parser.next(bytes_, len(stream), &frame) != PARSE_FRAME:
            raise ValueError(stream)
        if not frame.known[KNOWN_PROPERTY]:
            return False
        return dict(found) if read_properties(&frame, &census, 7, &found) else None
    finally:
        frame_free(&frame)
        free(bytes_)
