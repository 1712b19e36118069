"""The socket of a client and its buffers."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.hub cimport Hub
from fastbroker.core.parser cimport Parser
from fastbroker.core.session cimport Session
from fastbroker.core.wire cimport Link, OutBuf, Text, Timer


cdef enum:
    PIECE = 16384       # given to the transport when the kernel is full
    TLS_PIECE = 65536   # given to a transport that makes one system call of it


cdef class Connection:
    cdef object transport
    cdef Session session
    cdef Parser parser
    cdef OutBuf out
    cdef Text kept              # input not handled yet: a frame that a read cut off, or all while the session holds
    cdef Link link              # in the hub's ring
    cdef Timer timer            # the earliest of all deadlines
    cdef uint64_t made
    cdef uint64_t last_read
    cdef uint64_t last_write
    cdef uint64_t kept_since    # when the frame that is under way began
    cdef uint64_t last_progress # when the kernel last took bytes, or had none to take
    cdef uint64_t closing       # since when; 0: open
    cdef bint paused            # reading, by us
    cdef bint unauthenticated
    cdef bint eof               # the peer has said all
    cdef bint half_closed       # and so have we
    cdef bint lost
    cdef bint plain             # no TLS: bytes go to the socket as they are
    cdef int fd                 # of the socket; -1: it is closed
    cdef Hub hub                # last: what is freed before it counts itself down there

    # how bytes become what the transport carries: WebSocket does these in its own way
    cdef int _flush(self) except -1
    cdef int _write(self) except -1
    cdef int _broken(self, failure) except -1

    @cython.final
    cdef int go_on(self) except -1
    @cython.final
    cdef int unpark(self) except -1
    @cython.final
    cdef int flush(self) except -1
    @cython.final
    cdef int time_out(self) except -1
    @cython.final
    cdef int drain(self) except -1
    @cython.final
    cdef int abort(self, str reason) except -1

    # inside
    @cython.final
    cdef int _go_on(self) except -1
    @cython.final
    cdef int _take(self, size_t length) except -1
    @cython.final
    cdef int _take_kept(self) except -1
    @cython.final
    cdef size_t _frames(self, const char *bytes, size_t length) except? 0
    @cython.final
    cdef int _has_read(self, size_t length) except -1
    @cython.final
    cdef int _said_all(self) except -1
    @cython.final
    cdef int _after_input(self) except -1
    @cython.final
    cdef int _finish_input(self) except -1
    @cython.final
    cdef int _hint(self, const char *bytes, size_t length) except -1
    @cython.final
    cdef int _pause(self) except -1
    @cython.final
    cdef int _close(self) except -1
    @cython.final
    cdef int _written(self) except -1
    @cython.final
    cdef void _release_waiters(self) noexcept
    @cython.final
    cdef uint64_t _deadline(self) noexcept
    @cython.final
    cdef uint64_t _patience(self) noexcept
    @cython.final
    cdef void _arm(self) noexcept
    @cython.final
    cdef int _on_timer(self) except -1
    @cython.final
    cdef int _check_peer(self, uint64_t now) except -1
    @cython.final
    cdef int _check_unread(self) except -1
    @cython.final
    cdef int _check_output(self, uint64_t now) except -1


cdef int connection_init(Connection new, Hub hub, str peer, str listener, bint secure, object certificate) except -1
