/* Connecting is the load: again and again (connect), or everybody at once (storm). */
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

static void count_up(Engine *engine, Connection *c) {
    engine->ended++;
    engine->operations++;
}

static bool all_up(const Engine *engine) {
    return engine->ended == engine->count;
}

const Kind storm_kind = {
    .name = "storm",
    .plan = plan,
    .prepared = prepared,
    .up = count_up,
    .go = go,
    .complete = all_up,
    .settled = all_left,
};
