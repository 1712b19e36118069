"""Bytes to frames, in place. The parser knows versions and limits, and no session."""
cimport cython
from libc.stdint cimport uint32_t

from fastbroker.core.frame cimport Frame
from fastbroker.core.wire cimport Line

cdef enum:
    PARSE_FRAME = 1
    PARSE_MORE = 0
    PARSE_MALFORMED = -1
    PARSE_BAD_COMMAND = -2
    PARSE_BAD_ESCAPE = -3
    PARSE_BAD_UTF8 = -4
    PARSE_BAD_LENGTH = -5
    PARSE_LENGTH_LIES = -6
    PARSE_FRAME_TOO_LARGE = -7
    PARSE_TOO_MANY_HEADERS = -8
    PARSE_LINE_TOO_LONG = -9
    PARSE_HEAD_TOO_LARGE = -10
    PARSE_UNWANTED_BODY = -11
    PARSE_CR_LF = -12


cdef struct ParserLimits:
    size_t max_frame
    size_t max_frame_before_login
    size_t max_header_line
    size_t max_header_block
    uint32_t max_headers
    uint32_t names          # what the names of each frame begin with: NAME_UNTOLD, or nothing
    bint strict
    bint lenient_content_length


@cython.final
@cython.no_gc
cdef class Parser:
    cdef const ParserLimits *limits
    cdef public int version         # 0: not agreed yet, else 10, 11 or 12
    cdef size_t awaited             # a frame is under way that is at least this large
    cdef size_t searched            # of it so much has no NUL
    cdef const char *template       # a SEND of the same batch whose header lines may come again, or NULL
    cdef size_t template_length

    cdef void begin(self) noexcept
    cdef int next(self, const char *bytes, size_t length, Frame *frame) noexcept


cdef tuple parse_error(int status)
