/* When each message is meant to be sent, if the load has a rate: evenly spaced over all publishers in turn, and whatever
 * the server does. What could not be sent then is sent as soon as possible, with the time it was meant for.
 */
#include "engine.h"

void pace_go(Engine *engine) {
    Pace *pace = &engine->pace;
    pace->interval = engine->load.rate > 0 ? 1e9 / engine->load.rate : 0;
    pace->start = engine->now;
    pace->next_tick = 0;
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        engine->publishers[i].paced_from = begun_by(&engine->publishers[i]);
}

/* Tick k belongs to publisher k % publishers. */
static uint64_t time_of_tick(const Pace *pace, uint64_t tick) {
    return pace->start + (uint64_t)((double)tick * pace->interval);
}

uint64_t pace_intended(const Engine *engine, const Connection *c, uint64_t number) {
    return time_of_tick(&engine->pace, (number - c->paced_from) * engine->geometry.publishers + c->number);
}

/* How many ticks there were up to now, or up to the end of the window when that is over. */
static uint64_t ticks_passed(const Engine *engine) {
    const Pace *pace = &engine->pace;
    uint64_t now = running(engine) ? engine->now : engine->to.ns;
    return now < pace->start ? 0 : (uint64_t)((double)(now - pace->start) / pace->interval) + 1;
}

/* How many messages of a publisher should have begun and have not. */
uint64_t pace_due(const Engine *engine, const Connection *c) {
    uint64_t ticks = ticks_passed(engine), publishers = engine->geometry.publishers;
    uint64_t due = ticks > c->number ? (ticks - 1 - c->number) / publishers + 1 : 0;
    uint64_t begun = begun_by(c) - c->paced_from;
    return due > begun ? due - begun : 0;
}

/* Sends what has become due. A publisher that the kernel does not let send is left to the poller. */
void pace_turn(Engine *engine) {
    Pace *pace = &engine->pace;
    pace->due = NEVER;
    if (!paced(engine) || !running(engine))
        return;
    uint64_t ticks = ticks_passed(engine), publishers = engine->geometry.publishers;
    uint64_t count = ticks - pace->next_tick < publishers ? ticks - pace->next_tick : publishers;
    for (uint64_t i = 0; i < count && !failed(engine); i++) {
        Connection *c = &engine->publishers[(pace->next_tick + i) % publishers];
        if (c->blocked)
            continue;
        connection_write(engine, c);
        connection_watch(engine, c);
    }
    pace->next_tick = ticks;
    pace->due = time_of_tick(pace, ticks) + 1;
}
