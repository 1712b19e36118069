/* A queue that is filled, and then emptied. It is measured how fast the server takes messages, each with its receipt; how soon
 * the first of them comes to who subscribes then; and how fast all of them do. The publisher leaves before there is any
 * consumer: so the server may be killed and started anew in between.
 */
#include "check.h"
#include "dial.h"
#include "fill.h"
#include "names.h"
#include "plan.h"
#include "receipts.h"
#include "transfer.h"

static bool plan(Engine *engine) {
    if (!plan_one_queue(engine))
        return false;
    fill_share_out(engine, (uint64_t)engine->load.messages);
    return true;
}

static uint32_t subscriptions(const Engine *engine, const Connection *c) {
    return c->role == SUBSCRIBER;
}

static void subscription(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    name_destination(engine, engine->load.queue, 0, 1, destination);
}

static void address(const Engine *engine, Frames *frames) {
    name_destination(engine, engine->load.queue, 0, 1, &frames->destination);
}

/* ---- filling ---- */

static void on_up(Engine *engine, Connection *c) {
    if (c->role == PUBLISHER)
        engine->filled_from = now_ns();
}

static uint64_t allowed(Engine *engine, Connection *c) {
    uint64_t left = fill_left(c), window = receipts_left(engine, c);
    return left < window ? left : window;
}

static bool has_all_receipts(const Engine *engine, const Connection *c) {
    return c->state == UP && !c->begun && c->sent == c->quota && receipts_open(engine) == 0;
}

static void turn(Engine *engine) {
    Connection *c = engine->publishers;
    if (!has_all_receipts(engine, c))
        return;
    engine->accepted_at = engine->arrival;
    c->state = LEAVING;
    engine->protocol->leave(engine, c);
    if (c->state == LEFT)
        depart(engine, c);
    else
        connection_watch(engine, c);
}

static void on_confirmed(Engine *engine, Connection *c) {
    c->state = LEFT;
}

static void on_left(Engine *engine, Connection *c) {
}

static bool prepared(const Engine *engine) {
    return engine->accepted_at && engine->publishers->state == CLOSED;
}

/* ---- emptying ---- */

static void go(Engine *engine) {
    engine->drained_from = engine->now;
    engine->openable = engine->count;
}

static void on_message(Engine *engine, Connection *c, const Message *message) {
    engine->first_at = engine->first_at ? engine->first_at : engine->arrival;
    check_message(engine, c, message);
}

static bool complete(const Engine *engine) {
    return taken(engine) + engine->corrupt >= (uint64_t)engine->load.messages;
}

const Kind drain_kind = {
    .name = "drain",
    .plan = plan,
    .subscriptions = subscriptions,
    .subscription = subscription,
    .address = address,
    .up = on_up,
    .confirmed = on_confirmed,
    .left = on_left,
    .message = on_message,
    .allowed = allowed,
    .prepared = prepared,
    .go = go,
    .turn = turn,
    .complete = complete,
};
