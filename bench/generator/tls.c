/* TLS under STOMP, or under a WebSocket: what is sent becomes ciphertext here, and what comes becomes plain.
 *
 *     plain --encrypt--> ciphertext --send(2)--> | kernel |      what it does not take waits in `cipher`
 *     plain <--decrypt-- engine->cipher <--recv(2)-- | kernel |
 */
#include "tls.h"

#include <errno.h>

#include "failure.h"
#include "secure.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE */
#endif

#define SEND_SIZE (64u << 10)
/* With what is left of the record before, less than what there is room for when it is plain. */
#define RECEIVE_SIZE (128u << 10)

static void broken(Engine *engine, Connection *c) {
    const char *reason = engine->load.secure->reason(c->session);
    if (goes_on(engine))
        turn_away(engine, c, "broke the TLS of", reason, strlen(reason));
    else
        fail(engine, "%s:%d: %s", engine->load.host, engine->load.port, reason);
    errno = EPROTO;
}

/* ---- out ---- */

/* Offers the kernel ciphertext, behind what it has not taken yet; false when it is broken, with errno. */
static bool hand_over(Connection *c, const char *bytes, size_t length) {
    bool waits = length == 0 || buffer_length(&c->cipher);
    ssize_t took = waits ? 0 : send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (took < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    took = took < 0 ? 0 : took;
    buffer_append(&c->cipher, bytes + took, length - (size_t)took);
    return true;
}

static bool hand_over_output(Engine *engine, Connection *c) {
    size_t length;
    const char *bytes = engine->load.secure->output(c->session, &length);
    return hand_over(c, bytes, length);
}

/* True when nothing is left of it. */
static bool flush(Connection *c) {
    Buffer *cipher = &c->cipher;
    ssize_t took = buffer_length(cipher) ? send(c->fd, buffer_front(cipher), buffer_length(cipher), MSG_NOSIGNAL) : 0;
    if (took > 0)
        buffer_take(cipher, (size_t)took);
    if (took >= 0)
        errno = EAGAIN;
    return buffer_length(cipher) == 0;
}

static ssize_t send_tls(Engine *engine, Connection *c, const char *bytes, size_t length) {
    length = length < SEND_SIZE ? length : SEND_SIZE;
    if (!flush(c))
        return -1;
    if (length == 0)
        return 0;
    if (engine->load.secure->encrypt(c->session, bytes, length) < 0) {
        broken(engine, c);
        return -1;
    }
    return hand_over_output(engine, c) ? (ssize_t)length : -1;
}

/* ---- in ---- */

/* Bytes as they come; as recv(2). */
static ssize_t receive_cipher(Engine *engine, Connection *c) {
    buffer_clear(&engine->cipher);
    char *room = buffer_room(&engine->cipher, RECEIVE_SIZE);
    if (room == NULL)
        fail_memory(engine);
    return room ? recv(c->fd, room, RECEIVE_SIZE, 0) : -1;
}

static void shake(Engine *engine, Connection *c, size_t length) {
    int done = engine->load.secure->shake(c->session, engine->cipher.bytes, length);
    bool sent = hand_over_output(engine, c);
    if (done == TLS_FAILED)
        broken(engine, c);
    else if (!sent)
        turn_away(engine, c, "broke the connection of", strerror(errno), strlen(strerror(errno)));
    else if (done == 1)
        c->state = SECURED;
}

static ssize_t receive_tls(Engine *engine, Connection *c, char *room, size_t size) {
    ssize_t got = receive_cipher(engine, c);
    if (got <= 0)
        return got;
    if (c->state == SECURING) {
        shake(engine, c, (size_t)got);
        got = TLS_NEEDS_MORE;
    } else {
        got = engine->load.secure->decrypt(c->session, engine->cipher.bytes, (size_t)got, room, size);
    }
    errno = EAGAIN;
    if (got == TLS_FAILED)
        broken(engine, c);
    return got < 0 ? -1 : got;
}

const Carrier tls_carrier = {.receive = receive_tls, .send = send_tls};

/* ---- beginning and end ---- */

void tls_begin(Engine *engine, Connection *c) {
    c->state = SECURING;
    c->session = engine->load.secure->open(engine->load.secure->sessions);
    if (c->session)
        shake(engine, c, 0);
    else
        fail_memory(engine);
}

void tls_end(Engine *engine, Connection *c) {
    if (c->session)
        engine->load.secure->close(c->session);
    c->session = NULL;
    buffer_clear(&c->cipher);
}
