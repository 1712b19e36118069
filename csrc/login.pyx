"""CONNECT: who a client is, what it asks for and what it is told (STOMP 1.2, "Connecting", "Heart-beating")."""
import secrets

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame, Header, encoded, frame_value, header_text, number_of
from fastbroker.core.limits cimport Limits
from fastbroker.core.wire cimport KNOWN_CONTENT_LENGTH

from fastbroker.core.frame import Refused

cdef extern from "csrc/peer.h":
    enum:
        PEER_NAME
    int c_peer_name "peer_name" (int fd, char *out)

cdef enum:
    LONGEST_INTERVAL = 0x7fffffff   # milliseconds
    RANDOM_BLOCK = 3072             # bytes that the system is asked for at a time
    SESSION_ID = 12                 # of them in the id of a session

VERSIONS = {b"1.0": 10, b"1.1": 11, b"1.2": 12}
cdef dict NAMES = {number: name.decode() for name, number in VERSIONS.items()}
SHORT_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

cdef dict VERSION_LINES = {number: b"version:%b\nsession:" % name for name, number in VERSIONS.items()}
cdef bytes NO_BEATS = b"heart-beat:0,0\n"

# Headers of CONNECT in which clients name themselves, the most telling one first.
SOFTWARE = ("user-agent", "client-software", "client-id")

# A connection that was reset before it is accepted has no name any more, but what was sent on it can still be read.
GONE = "unknown"

cdef bytes block = b""          # of the system's random bytes: one system call for many sessions
cdef Py_ssize_t used = 0


class Login:
    """What a client says about itself in CONNECT: `login`, `passcode` (None when absent), all `headers`.

    And what is known without its word: its `peer`, the `listener` it came in by, whether that is `secure`, its
    `certificate`.
    """

    __slots__ = ("login", "passcode", "headers", "peer", "listener", "secure", "certificate")

    def __init__(self, login, passcode, headers, peer, listener="", secure=False, certificate=None):
        self.login = login
        self.passcode = passcode
        self.headers = headers
        self.peer = peer
        self.listener = listener
        self.secure = secure
        self.certificate = certificate

    def __repr__(self):
        return f"Login(login={self.login!r}, peer={self.peer!r})"


class Identity:
    """Who a client is, as the authenticator decided; handed to `authorize` with every action."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Identity({self.name!r})"


class LoginRefused(Exception):
    """Raised by an authenticator: the text goes to the client, so it must give nothing away."""


cpdef str peer_of(int fd):
    """Who is at the other end of a socket, as far as the system says it."""
    cdef char name[PEER_NAME]
    cdef int length = c_peer_name(fd, name)
    return name[:length].decode("ascii") if length else GONE


cdef int negotiated_version(bytes accepted) except -1:
    """The highest version both sides know; a client that names none speaks 1.0."""
    cdef int version = 10 if accepted is None else (<dict>VERSIONS).get(accepted, 0)
    if version == 0:
        for text in accepted.split(b","):
            version = max(version, VERSIONS.get(text.strip(), 0))
    if version == 0:
        raise Refused(b"unsupported version",
                      b"This broker speaks STOMP 1.0, 1.1 and 1.2; accept-version names none of them.")
    return version


cdef str version_name(int version):
    """As it is written; None before it is agreed."""
    return NAMES.get(version)


cdef object login_of(const Frame *frame, tuple origin):
    cdef dict headers = {}
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        name = (frame.base + header.name)[:header.name_length].decode()
        headers.setdefault(name, (frame.base + header.value)[:header.value_length].decode())
    return Login(headers.get("login"), headers.get("passcode"), headers, *origin)


cdef str software_of(const Frame *frame):
    """What a client says that it is, or None."""
    cdef dict headers = login_of(frame, ("",)).headers
    return next((headers[name] for name in SOFTWARE if headers.get(name)), None)


cdef bytes client_id_of(const Frame *frame):
    """What ActiveMQ's and Artemis' clients call themselves, or None."""
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        if header.name_length == 9 and memcmp(frame.base + header.name, b"client-id", 9) == 0:
            return (frame.base + header.value)[:header.value_length] or None
    return None


cdef bytes short_session(set used):
    """Four characters, unique among the live sessions of its kind."""
    cdef bytes id
    while True:
        id = "".join(secrets.choice(SHORT_ALPHABET) for _ in range(4)).encode()
        if id not in used:
            used.add(id)
            return id


cdef int agree_on_heart_beats(bytes offer, const Limits *limits, uint32_t *send_every,
                              uint32_t *expect_every) except -1:
    """Each direction: the slower of what one side can do and the other wants, or none."""
    cdef uint64_t can, wants
    if offer is None:
        return 0
    first, _, second = offer.partition(b",")
    if not number_of(first.strip(), &can) or not number_of(second.strip(), &wants):
        raise Refused(b"bad heart-beat", b"heart-beat is two numbers of milliseconds, such as heart-beat:10000,10000.")
    if can and limits.heart_beat_receive:
        expect_every[0] = <uint32_t>min(max(can, limits.heart_beat_receive), <uint64_t>LONGEST_INTERVAL)
    if wants and limits.heart_beat_send:
        send_every[0] = <uint32_t>min(max(wants, limits.heart_beat_send), <uint64_t>LONGEST_INTERVAL)
    return 0


cdef bytes session_id():
    """24 hexadecimal digits that nobody can guess."""
    global block, used
    cdef const char *hexadecimal = b"0123456789abcdef"
    cdef const unsigned char *random
    cdef bytes id = PyBytes_FromStringAndSize(NULL, 2 * SESSION_ID)
    cdef char *digits = PyBytes_AS_STRING(id)
    cdef int i
    if used + SESSION_ID > len(block):
        block = secrets.token_bytes(RANDOM_BLOCK)
        used = 0
    random = <const unsigned char *>PyBytes_AS_STRING(block) + used
    for i in range(SESSION_ID):
        digits[2 * i] = hexadecimal[random[i] >> 4]
        digits[2 * i + 1] = hexadecimal[random[i] & 15]
    used += SESSION_ID
    return id


cdef bytes connected_headers(const Frame *frame, int version, Broker broker, bytes short_id, bint sends, bint expects):
    """The header lines of CONNECTED. With a short id, for a client that names no version, they have a fixed length.

    No heart-beats are promised in a direction in which there are none: Spring's relay turns SockJS's off for a promise.
    """
    cdef bytes lines, beats = NO_BEATS
    if short_id is not None:
        lines = b"session:%b\nversion:1.0\nheart-beat:0,0\n" % short_id
    else:
        if version != 10 and (sends or expects):
            beats = b"heart-beat:%d,%d\n" % (broker.limits.heart_beat_send if sends else 0,
                                             broker.limits.heart_beat_receive if expects else 0)
        lines = b"".join([<bytes>VERSION_LINES[version], session_id(), b"\nserver:", broker.server, b"\n", beats])
    for name, asked in broker.profile.answers:
        lines += answer(frame, name, asked)
    return lines


cdef bytes answer(const Frame *frame, bytes name, tuple asked):
    """A header line that says again what one of those headers did, if one is there."""
    cdef bytes value
    for each in asked:
        value = header_text(frame, each)
        if value is not None:
            return b"%b:%b\n" % (name, encoded(value, 10))
    return b""


cdef bint ends_without_lf(const Frame *frame) noexcept:
    """One client (AnyEvent::STOMP 0.7) loses frames if a LF follows the NUL; it alone sends an empty content-length."""
    return frame.known[KNOWN_CONTENT_LENGTH] != 0 and frame_value(frame, KNOWN_CONTENT_LENGTH).length == 0
