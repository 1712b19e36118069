"""TLS between the socket of a client and its protocol."""
cimport cython


@cython.final
cdef class TlsAcceptor:
    cdef readonly object loop
    cdef public object context      # an ssl.SSLContext; the next handshakes use what it is then
    cdef object arriving
    cdef object arrived
    cdef object failed
    cdef double timeout
    cdef int most                   # handshakes at one time
    cdef int busy                   # those that there are: from a client's turn to the end of its handshake
    cdef object queue               # connections whose first bytes wait for their turn
    cdef bint due
    cdef char *space
    cdef object view

    # inside
    cdef int _wait(self, TlsTransport waiting) except -1
    cdef int _done(self) except -1
    cdef int _schedule(self) except -1


@cython.final
cdef class TlsTransport:
    cdef TlsAcceptor acceptor
    cdef readonly str peer          # whom a load balancer speaks for, or nothing
    cdef object transport
    cdef object protocol
    cdef object ssl
    cdef object incoming            # encrypted bytes on their way to OpenSSL
    cdef object outgoing            # and from it
    cdef object deadline            # of the handshake
    cdef bytes left                 # what OpenSSL was not given yet
    cdef Py_ssize_t of_its_own      # bytes that TLS has said since the protocol said something
    cdef object failure
    cdef bint counted               # as arriving
    cdef bint waiting               # for its turn
    cdef bint busy                  # its handshake is one of those that are under way
    cdef bint shaken
    cdef bint paused                # by the protocol
    cdef bint read_all              # there is nothing more to decrypt
    cdef bint peer_ended            # the peer has said all, and the protocol knows
    cdef bint ended                 # and so have we
    cdef bint lost

    cdef int begin(self) except -1

    # inside
    cdef int _look(self) except -1
    cdef int _begin(self) except -1
    cdef int _shake(self) except -1
    cdef int _arrive(self) except -1
    cdef int _leave_handshake(self) except -1
    cdef str _how_it_ended(self)
    cdef int _refuse(self, str reason) except -1
    cdef int _take(self, object received) except -1
    cdef bint _is_over(self) noexcept
    cdef Py_ssize_t _decrypt(self, object received, Py_ssize_t *at) except -1
    cdef Py_ssize_t _read(self, object space, Py_ssize_t filled) except -1
    cdef int _peer_has_ended(self) except -1
    cdef int _let_others(self) except -1
    cdef int _write(self, object data) except -1
    cdef int _send(self) except -1
    cdef int _answer(self) except -1
    cdef int _end(self) except -1
