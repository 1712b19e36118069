/* From a socket to a connection that is logged in and subscribed. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "engine.h"

/* So many are under way at a time, unless opening them is what the load is about; and so many of their subscriptions. */
#define MOST_OPENING 100
#define MOST_UNCONFIRMED 256

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
    c->address = engine->address;
    c->state = DIALLING;
    c->asked = c->confirmed = 0;
    c->greeted = false;
    engine->opening++;
    if (!open_socket(engine, c))
        return;
    if (!start_connecting(engine, c))
        dial_failed(engine, c, errno);
    else
        connection_watch(engine, c);
}

/* Opens what may be opened now; returns when it should be asked again. */
uint64_t dial_some(Engine *engine) {
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

void dialled(Engine *engine, Connection *c) {
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

/* Bytes go both ways now. */
void open_for_stomp(Engine *engine, Connection *c) {
    c->state = engine->websocket ? UPGRADING : LOGGING_IN;
    if (engine->websocket)
        websocket_ask(engine, c);
    else if (!engine->protocol->greets)
        engine->protocol->log_in(engine, c);
    connection_write(engine, c);
}

/* ---- logging in and subscribing ---- */

static void become_up(Engine *engine, Connection *c) {
    c->state = UP;
    engine->opening--;
    engine->up++;
    if (engine->kind->up)
        engine->kind->up(engine, c);
}

static void subscribe_more(Engine *engine, Connection *c) {
    while (c->asked < c->wanted && c->asked - c->confirmed < MOST_UNCONFIRMED) {
        buffer_clear(&engine->name);
        engine->kind->subscription(engine, c, c->asked, &engine->name);
        engine->protocol->subscribe(engine, c, &engine->name);
    }
    if (engine->name.broken)
        fail_memory(engine);
}

void logged_in(Engine *engine, Connection *c) {
    bool subscribes = engine->protocol->subscribes && engine->kind->subscriptions;
    record_since(engine, &engine->connect, c->dialled);
    c->wanted = subscribes ? engine->kind->subscriptions(engine, c) : 0;
    if (c->wanted == 0) {
        become_up(engine, c);
        return;
    }
    c->state = SUBSCRIBING;
    subscribe_more(engine, c);
}

/* What was asked for is done: a subscription, or another request of the kind of load. */
void confirmed(Engine *engine, Connection *c) {
    if (c->confirmed == c->asked) {
        refuse(engine, c, "confirmed what was not asked for to", "", 0);
        return;
    }
    c->confirmed++;
    engine->confirmed++;
    if (c->state != SUBSCRIBING)
        engine->kind->confirmed(engine, c);
    else if (c->confirmed == c->wanted)
        become_up(engine, c);
    else
        subscribe_more(engine, c);
}
