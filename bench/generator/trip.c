/* Round trips: ping (to its own subscription) and request (answered by somebody else). One at a time for each client; but
 * pings that have a rate are sent when they are due, whatever has become of those before. Answers of several would not
 * come in order. */
#include "check.h"
#include "names.h"
#include "plan.h"
#include "publish.h"

static bool plan_ping(Engine *engine) {
    int64_t clients = engine->load.connections;
    return plan_streams(engine, clients, clients, clients) && plan_connections(engine, CLIENT, clients);
}

static bool plan_request(Engine *engine) {
    const Load *load = &engine->load;
    return plan_streams(engine, load->publishers, load->publishers, load->publishers) &&
           plan_connections(engine, ASKER, load->publishers) && plan_connections(engine, RESPONDER, load->subscribers);
}

/* ---- where to ---- */

static uint32_t one_subscription(const Engine *engine, const Connection *c) {
    return 1;
}

static void subscription_of_ping(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    name_destination(engine, engine->load.queue, c->number, engine->geometry.destinations, destination);
}

static void address_of_ping(const Engine *engine, Frames *frames) {
    frames->numbered = engine->geometry.destinations > 1;
    name_destination(engine, engine->load.queue, 0, engine->geometry.destinations, &frames->destination);
}

static void subscription_of_request(const Engine *engine, const Connection *c, uint32_t i, Buffer *destination) {
    if (c->role == RESPONDER)
        name_append(engine, true, ".requests", destination);
    else
        name_numbered(engine, true, ".reply", c->number, destination);
}

static void address_of_request(const Engine *engine, Frames *frames) {
    frames->numbered = true;
    name_append(engine, true, ".requests", &frames->destination);
    name_numbered(engine, true, ".reply", 0, &frames->reply_to);
}

/* ---- when ---- */

static uint64_t due(Engine *engine, Connection *c) {
    bool late = engine->phase == DRAINING && engine->now < engine->phase_end;
    return running(engine) || late ? pace_due(&engine->pace, c, due_until(engine)) : 0;
}

static uint64_t one_at_a_time(Engine *engine, Connection *c) {
    bool is_due = paced(engine) ? due(engine, c) > 0 : running(engine);
    if (is_due && begun_by(c) > c->came)
        c->limited = true;
    return is_due && begun_by(c) == c->came;
}

static uint64_t allowed_ping(Engine *engine, Connection *c) {
    return paced(engine) ? due(engine, c) : one_at_a_time(engine, c);
}

static void on_message(Engine *engine, Connection *c, const Message *message) {
    if (c->role == RESPONDER)
        engine->protocol->answer(engine, c, message);
    else if (check_message(engine, c, message))
        engine->operations++;
}

static bool settled(Engine *engine) {
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        if (wants_to_write(engine, &engine->publishers[i]))
            return false;
    return taken(engine) + engine->corrupt >= engine->due;
}

const Kind ping_kind = {
    .name = "ping",
    .plan = plan_ping,
    .subscriptions = one_subscription,
    .subscription = subscription_of_ping,
    .address = address_of_ping,
    .message = on_message,
    .allowed = allowed_ping,
    .settled = settled,
};

const Kind request_kind = {
    .name = "request",
    .plan = plan_request,
    .subscriptions = one_subscription,
    .subscription = subscription_of_request,
    .address = address_of_request,
    .message = on_message,
    .allowed = one_at_a_time,
    .settled = settled,
};
