/* The loop, and the phases it goes through.
 *
 *     CONNECTING -> READY -> WARMING_UP -> MEASURING -> DRAINING -> SETTLING -> OVER
 *                       go()                    stop()   nothing   everything came: a moment
 *                                                        new       more, for what comes twice
 *
 * Reading and writing take turns, one system call a time, so a server that holds publishers back until subscribers read
 * cannot lock us up.
 */
#include "loop.h"

#include <errno.h>

#include "check.h"
#include "dial.h"
#include "failure.h"
#include "poller.h"
#include "prepare.h"
#include "publishers.h"
#include "transfer.h"
#include "window.h"

/* Sleeping may take that much longer than it was meant to, so the last bit of a wait for an intended time is spent awake. */
#define AWAKE_NS 50000
/* A poll that finds something at once takes less. */
#define NOTICEABLE_NS 10000
#define SETTLE_SECONDS 0.1

Engine *engine_new(const Load *load) {
    Engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->load = *load;
    engine->poller = -1;
    engine->now = engine->epoch = engine->progressed = now_ns();
    engine->from_time = NEVER;
    engine_prepare(engine);
    return engine;
}

static void free_histograms(Engine *engine) {
    histogram_free(&engine->latency);
    histogram_free(&engine->receipt);
    histogram_free(&engine->connect);
    histogram_free(&engine->send_delay);
}

void engine_free(Engine *engine) {
    check_free(engine);
    for (uint32_t i = 0; i < engine->count; i++)
        connection_free(engine, &engine->connections[i]);
    free(engine->connections);
    if (engine->poller >= 0)
        close(engine->poller);
    if (engine->addresses)
        freeaddrinfo(engine->addresses);
    frames_free(&engine->frames);
    free_histograms(engine);
    buffer_free(&engine->input);
    buffer_free(&engine->name);
    buffer_free(&engine->cipher);
    free(engine);
}

/* ---- phases ---- */

static void watch_all(Engine *engine) {
    for (uint32_t i = 0; i < engine->count && !failed(engine); i++)
        connection_watch(engine, &engine->connections[i]);
}

static void enter(Engine *engine, Phase phase, double seconds) {
    engine->phase = phase;
    engine->phase_end = engine->now + ns_of(seconds);
    engine->progressed = engine->now;
}

static void start_measuring(Engine *engine) {
    window_open(engine);
    enter(engine, MEASURING, engine->kind->complete ? 1e9 : engine->load.seconds);
}

/* What was meant to be sent within the window still is: leaving it out would hide how long it would have taken. */
static void start_draining(Engine *engine) {
    window_close(engine);
    enter(engine, DRAINING, engine->load.patience + engine->load.seconds);
    if (engine->kind->drain)
        engine->kind->drain(engine);
    publish_all(engine);
    watch_all(engine);
}

bool engine_go(Engine *engine) {
    if (engine->phase != READY)
        return fail(engine, "the load is not ready to go");
    poller_wake_on_time();
    engine->now = now_ns();
    pace_go(engine);
    if (engine->load.warm_up > 0 && !engine->kind->complete)
        enter(engine, WARMING_UP, engine->load.warm_up);
    else
        start_measuring(engine);
    if (engine->kind->go)
        engine->kind->go(engine);
    publish_all(engine);
    watch_all(engine);
    return !failed(engine);
}

void engine_stop(Engine *engine) {
    engine->now = now_ns();
    if (engine->phase < WARMING_UP)
        engine->phase = OVER;
    if (engine->phase == WARMING_UP)
        start_measuring(engine);
    if (engine->phase == MEASURING)
        start_draining(engine);
}

/* Anything that brings the load nearer to its end; the same bytes again and again do not, nor does coming back. */
static bool lost_patience(Engine *engine) {
    uint64_t progress = taken(engine) + engine->receipts + engine->operations + engine->up + engine->opened + engine->sent +
                        engine->confirmed + engine->carried;
    if (progress != engine->progress)
        engine->progressed = engine->now;
    engine->progress = progress;
    return engine->now - engine->progressed >= ns_of(engine->load.patience);
}

static void give_up_connecting(Engine *engine) {
    const Load *load = &engine->load;
    if (engine->sent)
        fail(engine, "the server did not answer for %g seconds: %llu of a backlog of %lld messages are sent", load->patience,
             (unsigned long long)engine->sent, (long long)load->backlog);
    else
        fail(engine, "the server did not answer for %g seconds: %u of %u connections are logged in", load->patience,
             engine->up, engine->count);
}

static void await_connections(Engine *engine) {
    bool prepared = engine->kind->prepared ? engine->kind->prepared(engine) : engine->up == engine->count;
    if (prepared)
        enter(engine, READY, 0);
    else if (lost_patience(engine))
        give_up_connecting(engine);
}

static bool is_complete(Engine *engine) {
    return engine->kind->complete && (engine->kind->complete(engine) || lost_patience(engine));
}

static void await_the_rest(Engine *engine) {
    bool settled = engine->kind->settled == NULL || engine->kind->settled(engine);
    if (settled || lost_patience(engine)) {
        enter(engine, SETTLING, SETTLE_SECONDS);
        watch_all(engine);
    }
}

static void advance(Engine *engine) {
    bool timed_out = engine->now >= engine->phase_end;
    if (engine->phase == CONNECTING)
        await_connections(engine);
    else if (engine->phase == WARMING_UP && timed_out)
        start_measuring(engine);
    else if (engine->phase == MEASURING && (timed_out || is_complete(engine)))
        start_draining(engine);
    else if (engine->phase == DRAINING)
        await_the_rest(engine);
    else if (engine->phase == SETTLING && timed_out)
        engine->phase = OVER;
}

/* ---- the loop ---- */

static int wait_until(Engine *engine, Ready *ready, uint64_t until) {
    uint64_t now = now_ns(), due = engine->pace.due, wake = earlier(until, due);
    uint64_t early = due <= until ? AWAKE_NS : 0;
    uint64_t ns = wake > now + early ? wake - now - early : 0;
    int count = poller_wait(engine->poller, ready, ns);
    engine->now = now_ns();
    engine->turns++;
    if (engine->now - now > NOTICEABLE_NS)
        engine->slept_at = engine->now;
    if (count == 0 && ns == 0 && early && engine->now - now < NOTICEABLE_NS)
        engine->spun += engine->now - now;
    return count;
}

static uint64_t end_of_wait(const Engine *engine, uint64_t until) {
    bool is_timed = engine->phase == SETTLING || (running(engine) && !engine->kind->complete);
    uint64_t patience = engine->progressed + ns_of(engine->load.patience);
    if (engine->phase == READY)
        return until;
    return earlier(until, is_timed ? engine->phase_end : patience);
}

/* However much there is to read, what is due is sent in between. And kqueue may tell two things of a connection that the
 * first of them made us close and dial anew. */
static void handle_all(Engine *engine, Ready *ready, int count) {
    uint64_t woke = engine->now;
    for (int i = 0; i < count && !failed(engine); i++) {
        Connection *c = ready[i].owner;
        if (c->dialled <= woke)
            connection_handle(engine, c, ready[i].events);
        if (paced(engine) && !failed(engine) && (engine->now = now_ns()) >= engine->pace.due)
            publish_due(engine);
    }
}

static void turn(Engine *engine, uint64_t until) {
    Ready ready[POLL_MOST];
    publish_due(engine);
    until = earlier(until, dial_some(engine));
    int count = failed(engine) ? 0 : wait_until(engine, ready, end_of_wait(engine, until));
    if (count < 0 && errno != EINTR)
        fail(engine, "cannot wait for sockets: %s", strerror(errno));
    handle_all(engine, ready, count);
    if (engine->kind->turn && !failed(engine))
        engine->kind->turn(engine);
}

/* False when it is over, or has failed. Returns early when the phase changes. */
bool engine_step(Engine *engine, double seconds) {
    Phase before = engine->phase;
    engine->now = now_ns();
    uint64_t until = engine->now + ns_of(seconds);
    do {
        advance(engine);
        if (failed(engine) || engine->phase != before || before == OVER)
            break;
        turn(engine, until);
    } while (!failed(engine) && engine->now < until);
    return !failed(engine) && engine->phase != OVER;
}
