"""The request for a WebSocket, or for something else: what is said in HTTP.

    request -> `handshake.answer` -> 101, and a WebSocket takes over
                                  -> an HTTP answer, its body in pieces, and the end

Until there is a WebSocket, the reason for which a session ends is told in HTTP as well.
"""
from fastbroker.core.connection cimport Connection, connection_new
from fastbroker.core.frame cimport shown
from fastbroker.core.framing cimport Framing
from fastbroker.core.hub cimport INPUT_FRONT, Hub
from fastbroker.core.input cimport hint
from fastbroker.core.turntaker cimport OPEN
from fastbroker.core.websocket cimport WebSocket, websocket_new
from fastbroker.core.wire cimport (
    DOOM_MEMORY, outbuf_consume, outbuf_doom, outbuf_pending, outbuf_put, text_free, text_length, text_put,
)

from socket import SO_SNDBUF, SOL_SOCKET

cdef enum:
    PAGE_PIECE = 65536      # of a page, in one turn


def websocket(Hub hub, *, str peer="", str listener="", bint secure=False, object certificate=None):
    cdef Connection new = connection_new(hub, peer, listener, secure, certificate)
    cdef Upgrade upgrade = Upgrade()
    upgrade.hub = hub
    upgrade.connection = new
    upgrade.request.counted = &hub.broker.census.input
    new.framing = upgrade
    return new


cdef class Upgrade(Framing):

    def __dealloc__(self):
        if self.hub is not None:
            text_free(&self.request)

    cdef int take(self, size_t length) except -1:
        """Looks for the end of the request; what lies behind it is the WebSocket's."""
        cdef size_t before = text_length(&self.request)
        cdef Py_ssize_t most = self.hub.broker.parser_limits.max_frame_before_login, end
        cdef bytes request
        if self.answered or self.connection.ours != OPEN:
            return 0
        if before == 0:
            self.connection.input.wrapped_since = self.hub.broker.now
        if text_put(&self.request, self.hub.input + INPUT_FRONT, length) < 0:
            outbuf_doom(&self.connection.out, DOOM_MEMORY)
            return 0
        request = self.request.bytes[self.request.start:self.request.end]
        end = request.find(b"\r\n\r\n", max(<Py_ssize_t>before - 3, 0))
        if 0 <= end <= most - 4:
            return answer(self, request[:end], end + 4 - before, length)
        if len(request) > most:
            return turn_away(self, "request too large")
        if not self.hub.handshake.may_become_request(request):
            hint(self.connection.session, request, len(request))
            return turn_away(self, "not HTTP")
        return 0

    cdef int interject(self) except -1:
        """An ERROR, before there is a WebSocket that could carry it."""
        if not self.answered and outbuf_pending(&self.connection.out):
            outbuf_consume(&self.connection.out, outbuf_pending(&self.connection.out))
            say(self, self.hub.handshake.refuse(self.connection.session.reason))
        return 0

    cdef bint last_words(self) except -1:
        """The next piece of an HTTP answer's body, which many answers share: a peer that takes them, however slowly, is
        not cut off."""
        cdef size_t length
        if self.page is None:
            return False
        length = min(<size_t>len(self.page) - self.page_sent, <size_t>PAGE_PIECE)
        outbuf_put(&self.connection.out, <const char *>self.page + self.page_sent, length)
        self.page_sent += length
        if self.page_sent == <size_t>len(self.page):
            self.page = None
        return self.page is not None

    cdef bint heard_all(self):
        return True

    cdef int broken(self) except -1:
        return 0


cdef int answer(Upgrade self, bytes request, size_t skipped, size_t length) except -1:
    """The request is complete. Of the new bytes, what follows `skipped` lies behind it."""
    cdef Connection connection = self.connection
    cdef WebSocket taking_over
    try:
        local = connection.transport.get_extra_info("sockname")[0]
        head, upgraded, reason, body, codec, stranger = self.hub.handshake.answer(
            request, connection.session.secure, local)
    except Exception as failure:
        self.hub.broker.log("error", "internal error", peer=connection.session.peer, error=repr(failure))
        return turn_away(self, "internal error")
    if stranger is not None:
        self.hub.broker.log("warning", "origin refused", peer=connection.session.peer, origin=stranger[0],
                            host=stranger[1], key="websocket.allowed_origins")
    say(self, head)
    if not upgraded:
        begin_page(self, body)
        return connection.close_for(reason)
    if self.hub.broker.debug:
        connection.session.software = software_in(request)
    text_free(&self.request)
    taking_over = websocket_new(self.hub, connection, codec)
    connection.framing = taking_over
    return taking_over.take_behind(skipped, length)


cdef str software_in(bytes request):
    """What a client says that it is, or None."""
    for line in request.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"user-agent":
            return shown(value.strip()).decode()
    return None


cdef int turn_away(Upgrade self, str reason) except -1:
    """There is no WebSocket yet, so the reason is told in HTTP."""
    say(self, self.hub.handshake.refuse(reason))
    return self.connection.close_for(reason)


cdef int say(Upgrade self, bytes answer) except -1:
    self.answered = True
    self.connection.input.wrapped_since = 0
    text_free(&self.request)
    return self.connection.say(answer)


cdef int begin_page(Upgrade self, bytes body) except -1:
    """The kernel is to hold little of it, or it would not tell for long that a slow peer takes some."""
    if len(body) > PAGE_PIECE:
        self.connection.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 2 * PAGE_PIECE)
    self.page = body or None
    return 0
