"""TLS between the socket of a client and its protocol."""
cimport cython

from fastbroker.core.hub cimport Hub

cdef enum:
    # the life of a connection, as drawn at the head of tls.pyx
    HELLO
    WAITING
    SHAKING
    OPEN
    SHUT
    LOST

cdef enum:
    # what its peer says
    SPEAKING
    SAID_ALL
    TOLD


@cython.final
cdef class Handshakes:
    cdef Hub hub
    cdef object loop
    cdef object arriving
    cdef object workers             # threads
    cdef int ahead                  # so many times they may be given some steps
    cdef int under_way              # and have been
    cdef object hello               # of arriving: those who have yet to say it
    cdef object answer              # and those who have yet to finish their handshake
    cdef int most                   # handshakes at one time
    cdef int busy                   # those that there are: from a client's turn to the end of its handshake
    cdef object answers             # those under way whose client has answered
    cdef object hosts               # those that wait for their turn: host -> deque, in the order of whose turn it is
    cdef bint due                   # to be looked at in the next turn of the loop
    cdef bint retrying              # a timer runs
    cdef char *space
    cdef object view

    cdef int serve(self, TlsTransport one) except -1
    cdef int place_is_free(self) except -1



@cython.final
cdef class TlsAcceptor:
    cdef Handshakes handshakes
    cdef public object context      # an ssl.SSLContext; the next handshakes use what it is then
    cdef object arrived
    cdef object failed


@cython.final
cdef class TlsTransport:
    cdef TlsAcceptor acceptor
    cdef Handshakes handshakes
    cdef readonly str peer          # who is at the other end, perhaps as a load balancer says
    cdef object transport
    cdef object protocol
    cdef object ssl
    cdef object incoming            # encrypted bytes on their way to OpenSSL
    cdef object outgoing            # and from it
    cdef object ticket              # its place among those who arrive
    cdef bytes left                 # what OpenSSL was not given yet
    cdef bytes held                 # what goes out with the next bytes
    cdef Py_ssize_t of_its_own      # bytes that TLS has said since the protocol said something
    cdef object failure
    cdef int life
    cdef int theirs
    cdef bint waits                 # for its turn, or for a thread
    cdef bint asked                 # to finish its handshake
    cdef bint paused                # by the protocol

    cdef bint prepare(self) except -1
    cdef object step(self)
    cdef int stepped(self, result) except -1
