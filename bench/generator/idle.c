/* Connections that are there, each subscribed to a topic of its own, while nothing happens. */
#include "names.h"
#include "plan.h"

static bool plan(Engine *engine) {
    return plan_connections(engine, CLIENT, engine->load.connections);
}

static uint32_t subscriptions(const Engine *engine, const Connection *c) {
    return 1;
}

static void subscription(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    name_destination(engine, false, c->number, engine->count, destination);
}

const Kind idle_kind = {
    .name = "idle",
    .plan = plan,
    .subscriptions = subscriptions,
    .subscription = subscription,
};
