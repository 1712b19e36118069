/* How long publishers wait for the kernel: altogether, and without keeping a list of those who do. */
#include "waiting.h"

uint64_t waited_total(const Engine *engine) {
    return engine->waited_ns + engine->waiting * engine->now - engine->waiting_since;
}

void waiting_begins(Engine *engine, Connection *c) {
    if (c->waits)
        return;
    c->waits = true;
    c->waits_since = engine->now;
    c->waits_turn = engine->turns;
    engine->waiting++;
    engine->waiting_since += c->waits_since;
}

/* Whoever may go on at the next turn, before we slept, has waited for us and not for the kernel. */
void waiting_ends(Engine *engine, Connection *c) {
    bool had_to = engine->slept_at > c->waits_since || engine->turns > c->waits_turn + 1;
    if (!c->waits)
        return;
    c->waits = false;
    engine->waiting--;
    engine->waiting_since -= c->waits_since;
    engine->waited_ns += had_to ? engine->now - c->waits_since : 0;
}
