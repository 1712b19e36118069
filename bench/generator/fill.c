/* Sending what is to be there before anything else happens: the backlog of queues, the history of a topic, a schedule. */
#include "fill.h"

#include "names.h"
#include "transfer.h"

void fill_share_out(Engine *engine, uint64_t messages) {
    uint64_t publishers = engine->geometry.publishers;
    for (uint32_t i = 0; i < publishers; i++)
        engine->connections[i].quota = messages / publishers + (i < messages % publishers);
    if (messages)
        engine->openable = (uint32_t)publishers;
}

uint64_t fill_left(const Connection *c) {
    return c->quota > begun_by(c) ? c->quota - begun_by(c) : 0;
}

/* The server has all of it when it has confirmed something that was asked for behind the last message. */
static void ask(Engine *engine, Connection *c) {
    bool is_full = begun_by(c) >= c->quota && !c->begun && c->sent % engine->frames.unit == 0;
    if (c->state != UP || !is_full || c->asked)
        return;
    buffer_clear(&engine->name);
    name_append(engine, false, ".filled", &engine->name);
    engine->protocol->subscribe(engine, c, &engine->name);
    engine->protocol->unsubscribe(engine, c);
    connection_watch(engine, c);
}

void fill_ask(Engine *engine) {
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        ask(engine, &engine->connections[i]);
}

void fill_confirmed(Engine *engine, Connection *c) {
    engine->filled += c->confirmed == c->asked;
    if (filled(engine))
        engine->openable = engine->count;
}

bool filled(const Engine *engine) {
    return engine->filled == engine->geometry.publishers;
}
