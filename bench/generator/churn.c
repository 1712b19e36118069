/* Subscribing and unsubscribing, again and again, over a number of topics. */
#include "names.h"
#include "plan.h"
#include "transfer.h"
#include "window.h"

static bool plan(Engine *engine) {
    return plan_connections(engine, CLIENT, engine->load.connections);
}

static void subscribe(Engine *engine, Connection *c) {
    uint64_t topic = (c->number + c->turn++ * engine->count) % (uint64_t)engine->load.destinations;
    buffer_clear(&engine->name);
    name_destination(engine, false, (uint32_t)topic, (uint32_t)engine->load.destinations, &engine->name);
    c->asked_at = now_ns();
    engine->begun++;
    engine->protocol->subscribe(engine, c, &engine->name);
}

static void unsubscribe(Engine *engine, Connection *c) {
    c->asked_at = now_ns();
    engine->begun++;
    engine->protocol->unsubscribe(engine, c);
}

static void go(Engine *engine) {
    for (uint32_t i = 0; i < engine->count && !failed(engine); i++) {
        subscribe(engine, &engine->connections[i]);
        connection_watch(engine, &engine->connections[i]);
    }
}

/* Every second confirmation is that of an UNSUBSCRIBE. */
static void on_confirmed(Engine *engine, Connection *c) {
    bool is_subscribed = c->confirmed % 2;
    record_since(engine, &engine->receipt, c->asked_at);
    engine->receipts++;
    engine->ended++;
    engine->operations += !is_subscribed;
    if (is_subscribed)
        unsubscribe(engine, c);
    else if (running(engine))
        subscribe(engine, c);
}

static bool settled(Engine *engine) {
    return engine->ended == engine->begun;
}

const Kind churn_kind = {
    .name = "churn",
    .plan = plan,
    .confirmed = on_confirmed,
    .go = go,
    .settled = settled,
};
