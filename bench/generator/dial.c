/* From a name to sockets, and from a socket to a connection that bytes go through; what happens to it then, and its end. */
#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "failure.h"
#include "poller.h"
#include "publish.h"
#include "tls.h"
#include "transfer.h"
#include "websocket.h"

/* So many are under way at a time, unless opening them is what the load is about. */
#define MOST_OPENING 100
/* A client that was turned away comes back so much later. */
#define AGAIN_NS (SECOND / 2)

/* A Unix socket needs no name server. */
static bool resolve_path(Engine *engine) {
    struct sockaddr_un *name = &engine->local_name;
    if (strlen(engine->load.path) >= sizeof name->sun_path)
        return fail(engine, "the path %s is too long for a socket", engine->load.path);
    name->sun_family = AF_UNIX;
    strcpy(name->sun_path, engine->load.path);
    engine->local_address = (struct addrinfo){
        .ai_family = AF_UNIX, .ai_addr = (struct sockaddr *)name, .ai_addrlen = sizeof *name};
    engine->address = &engine->local_address;
    return true;
}

bool resolve(Engine *engine) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[16];
    if (engine->is_local)
        return resolve_path(engine);
    snprintf(port, sizeof port, "%d", engine->load.port);
    int trouble = getaddrinfo(engine->load.host, port, &hints, &engine->addresses);
    if (trouble)
        return fail(engine, "no address of %s is known: %s", engine->load.host, gai_strerror(trouble));
    engine->address = engine->addresses;
    return true;
}

/* ---- the end ---- */

/* It is closed in the middle of nothing, or has been turned away. */
void depart(Engine *engine, Connection *c) {
    if (engine->websocket && c->state == LEFT && !c->framing.closed)
        websocket_leave(engine, c);
    connection_close(engine, c);
    engine->kind->left(engine, c);
}

/* ---- a socket ---- */

static bool open_socket(Engine *engine, Connection *c) {
    c->fd = socket(engine->address->ai_family, SOCK_STREAM, 0);
    if (c->fd < 0 && errno == EMFILE)
        return fail(engine, "%u connections are more than this process may open: raise the limit (ulimit -n)", engine->count);
    if (c->fd < 0 || fcntl(c->fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(engine, "no socket: %s", strerror(errno));
    if (!engine->is_local)
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return true;
}

/* Nobody is told when the queue of a Unix socket has room again, so that is waited for; only so does a thing block here. */
static bool start_connecting(Engine *engine, Connection *c) {
    const struct addrinfo *address = c->address;
    struct timeval patience = {.tv_sec = (time_t)engine->load.patience + 1};
    if (engine->is_local)
        setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    else
        fcntl(c->fd, F_SETFL, O_NONBLOCK);
    bool started = connect(c->fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS || errno == EINTR;
    int error = errno;
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    errno = error;
    return started;
}

/* A name may have several addresses, and the server listen at one of them. */
static bool has_another_address(Engine *engine, const Connection *c) {
    if (engine->reached)
        return false;
    if (c->address == engine->address && engine->address->ai_next)
        engine->address = engine->address->ai_next;
    return c->address != engine->address;
}

static void dial_failed(Engine *engine, Connection *c, int error) {
    if (engine->reached && goes_on(engine)) {
        turn_away(engine, c, "let in no connection of", strerror(error), strlen(strerror(error)));
        return;
    }
    connection_close(engine, c);
    if (has_another_address(engine, c))
        dial(engine, c);
    else if (engine->is_local)
        fail(engine, "no connection to %s: %s", engine->load.path, strerror(error));
    else
        fail(engine, "no connection to %s:%d: %s", engine->load.host, engine->load.port, strerror(error));
}

void dial(Engine *engine, Connection *c) {
    c->dialled = now_ns();
    c->since = c->turned_away ? c->since : c->dialled;
    c->turned_away = false;
    c->address = engine->address;
    c->state = DIALLING;
    c->asked = c->confirmed = 0;
    c->greeted = false;
    engine->opening++;
    if (!open_socket(engine, c))
        return;
    if (!start_connecting(engine, c))
        dial_failed(engine, c, errno);
    if (c->turned_away)
        depart(engine, c);
    else
        connection_watch(engine, c);
}

static uint64_t dial_first(Engine *engine) {
    uint64_t interval = engine->load.ramp > 0 ? ns_of(1 / engine->load.ramp) : 0;
    while (engine->opened < engine->openable && !failed(engine)) {
        if (!engine->at_once && engine->opening >= MOST_OPENING)
            return NEVER;
        if (interval && engine->now < engine->next_dial)
            return engine->next_dial;
        engine->next_dial = (engine->next_dial ? engine->next_dial : engine->now) + interval;
        engine->begun += engine->at_once;
        dial(engine, &engine->connections[engine->opened++]);
    }
    return NEVER;
}

/* All wait equally long, so whoever was turned away first is the first to come back. */
void dial_later(Engine *engine, Connection *c) {
    c->again_at = now_ns() + AGAIN_NS;
    c->next_again = NULL;
    if (engine->again)
        engine->last_again->next_again = c;
    else
        engine->again = c;
    engine->last_again = c;
}

static uint64_t dial_again(Engine *engine) {
    while (engine->again && !failed(engine)) {
        Connection *c = engine->again;
        if (engine->now < c->again_at)
            return c->again_at;
        engine->again = c->next_again;
        engine->reconnects++;
        dial(engine, c);
    }
    return NEVER;
}

uint64_t dial_some(Engine *engine) {
    uint64_t first = dial_first(engine);
    return earlier(first, dial_again(engine));
}

/* ---- what happens to it ---- */

/* Bytes go both ways now. */
static void open_for_stomp(Engine *engine, Connection *c) {
    engine->carried += !c->carried;
    c->carried = true;
    c->state = engine->websocket ? UPGRADING : LOGGING_IN;
    if (engine->websocket)
        websocket_ask(engine, c);
    else if (!engine->protocol->greets)
        engine->protocol->log_in(engine, c);
    connection_write(engine, c);
}

static void dialled(Engine *engine, Connection *c) {
    int error = 0;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
    if (error) {
        dial_failed(engine, c, error);
        return;
    }
    engine->reached = true;
    if (engine->load.secure)
        tls_begin(engine, c);
    else
        open_for_stomp(engine, c);
}

static void read_and_write(Engine *engine, Connection *c, unsigned events) {
    if (events & (POLL_READ | POLL_HANG_UP))
        connection_receive(engine, c);
    if (failed(engine) || c->fd < 0 || c->turned_away)
        return;
    if (c->state == SECURED)
        open_for_stomp(engine, c);
    if ((events & POLL_WRITE || !c->blocked) && wants_to_write(engine, c))
        connection_write(engine, c);
}

void connection_handle(Engine *engine, Connection *c, unsigned events) {
    if (c->state == DIALLING)
        dialled(engine, c);
    else if (c->role != SLOW_SUBSCRIBER || c->state != UP)
        read_and_write(engine, c, events);
    else if (engine->phase == SETTLING)
        connection_drain(engine, c);
    else if (events & POLL_HANG_UP)
        connection_ended(engine, c, 0);
    if (!failed(engine) && (c->state == LEFT || c->turned_away))
        depart(engine, c);
    connection_watch(engine, c);
}
