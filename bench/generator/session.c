/* From a connection that bytes go through to one that is logged in and subscribed. */
#include "session.h"

#include "failure.h"
#include "window.h"

/* So many subscriptions wait for their receipts at a time. */
#define MOST_UNCONFIRMED 256

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
    record_since(engine, &engine->connect, c->since);
    c->wanted = subscribes ? engine->kind->subscriptions(engine, c) : 0;
    if (c->wanted == 0) {
        become_up(engine, c);
        return;
    }
    c->state = SUBSCRIBING;
    subscribe_more(engine, c);
}

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
