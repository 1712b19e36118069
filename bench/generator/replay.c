/* Subscribers of a topic with a history: each gets all that it keeps, leaves, and comes back for the same again. */
#include "check.h"
#include "fill.h"
#include "names.h"
#include "plan.h"
#include "transfer.h"
#include "window.h"

static bool plan(Engine *engine) {
    int64_t clients = engine->load.connections;
    if (!plan_streams(engine, 1, 1, clients) || !plan_connections(engine, PUBLISHER, 1))
        return false;
    if (!plan_connections(engine, SUBSCRIBER, clients))
        return false;
    fill_share_out(engine, (uint64_t)engine->load.messages);
    return true;
}

static void address(const Engine *engine, Frames *frames) {
    name_destination(engine, false, 0, 1, &frames->destination);
}

static uint64_t allowed(Engine *engine, Connection *c) {
    return engine->phase == CONNECTING ? fill_left(c) : 0;
}

static bool prepared(const Engine *engine) {
    return engine->up == engine->count && filled(engine);
}

/* ---- one lap after the other ---- */

static void subscribe(Engine *engine, Connection *c) {
    check_anew(c);
    buffer_clear(&engine->name);
    name_destination(engine, false, 0, 1, &engine->name);
    engine->due += (uint64_t)engine->load.messages;
    c->asked_at = now_ns();
    engine->protocol->subscribe(engine, c, &engine->name);
    connection_watch(engine, c);
}

/* Nobody was there when the messages were sent, so nothing is due of that. */
static void go(Engine *engine) {
    engine->due = 0;
    for (uint32_t i = 1; i < engine->count && !failed(engine); i++)
        subscribe(engine, &engine->connections[i]);
}

/* A subscription that was asked for, and has brought everything. */
static bool has_all(const Engine *engine, const Connection *c) {
    return c->asked % 2 && came_in_order(c) >= (uint64_t)engine->load.messages;
}

static void turn(Engine *engine) {
    if (engine->phase == CONNECTING)
        fill_ask(engine);
    for (uint32_t i = 1; i < engine->count && !failed(engine); i++) {
        Connection *c = &engine->connections[i];
        if (!has_all(engine, c))
            continue;
        record_since(engine, &engine->latency, c->asked_at);
        engine->operations++;
        engine->protocol->unsubscribe(engine, c);
        connection_watch(engine, c);
    }
}

static void on_confirmed(Engine *engine, Connection *c) {
    if (c->role == PUBLISHER)
        fill_confirmed(engine, c);
    else if (c->confirmed == c->asked && c->asked % 2 == 0 && running(engine))
        subscribe(engine, c);
}

static void on_message(Engine *engine, Connection *c, const Message *message) {
    check_message(engine, c, message);
}

static bool settled(Engine *engine) {
    return taken(engine) + engine->corrupt >= engine->due;
}

const Kind replay_kind = {
    .name = "replay",
    .plan = plan,
    .address = address,
    .confirmed = on_confirmed,
    .message = on_message,
    .allowed = allowed,
    .prepared = prepared,
    .go = go,
    .turn = turn,
    .settled = settled,
};
