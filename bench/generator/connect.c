/* Connecting is the load: to come and go, again and again (connect), or everybody at once (storm). */
#include "dial.h"
#include "plan.h"

static bool plan(Engine *engine) {
    if (!plan_connections(engine, CLIENT, engine->load.connections))
        return false;
    engine->openable = 0;
    engine->at_once = true;
    return true;
}

static bool prepared(const Engine *engine) {
    return true;
}

static void go(Engine *engine) {
    engine->openable = engine->count;
    engine->next_dial = engine->now;
}

/* ---- connect ---- */

static void leave(Engine *engine, Connection *c) {
    c->state = LEAVING;
    engine->protocol->leave(engine, c);
}

static void on_confirmed(Engine *engine, Connection *c) {
    c->state = LEFT;
    engine->ended++;
    engine->operations++;
}

static void again(Engine *engine, Connection *c) {
    if (!running(engine))
        return;
    engine->begun++;
    dial(engine, c);
}

static bool all_left(Engine *engine) {
    return engine->ended == engine->begun;
}

const Kind connect_kind = {
    .name = "connect",
    .plan = plan,
    .prepared = prepared,
    .up = leave,
    .confirmed = on_confirmed,
    .left = again,
    .go = go,
    .settled = all_left,
};

/* ---- storm ---- */

/* When all are in they leave, all at once too. */
static void on_up(Engine *engine, Connection *c) {
    c->let_in = true;
    engine->ended++;
    engine->operations++;
    if (!running(engine))
        leave(engine, c);
}

static void leave_all(Engine *engine) {
    for (uint32_t i = 0; i < engine->count && !failed(engine); i++) {
        Connection *c = &engine->connections[i];
        if (c->state == UP)
            leave(engine, c);
        if (c->state == LEFT)
            depart(engine, c);
    }
}

static void on_left_confirmed(Engine *engine, Connection *c) {
    c->state = LEFT;
}

/* Whoever was not let in tries again, and the time of its login goes on. */
static void come_back(Engine *engine, Connection *c) {
    if (c->turned_away && !c->let_in)
        dial_later(engine, c);
}

static bool all_in(const Engine *engine) {
    return engine->ended == engine->count;
}

static bool all_gone(Engine *engine) {
    return engine->ended == engine->begun && engine->up == 0;
}

const Kind storm_kind = {
    .name = "storm",
    .comes_back = true,
    .plan = plan,
    .prepared = prepared,
    .up = on_up,
    .confirmed = on_left_confirmed,
    .left = come_back,
    .go = go,
    .complete = all_in,
    .drain = leave_all,
    .settled = all_gone,
};
