/* All who send: at once, or each when it is due. */
#include "publishers.h"

#include "transfer.h"

void pace_go(Engine *engine) {
    Pace *pace = &engine->pace;
    pace->interval = engine->load.rate > 0 ? 1e9 / engine->load.rate : 0;
    pace->publishers = engine->geometry.publishers;
    pace->start = engine->now;
    pace->next_tick = 0;
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        engine->publishers[i].paced_from = begun_by(&engine->publishers[i]);
}

void publish_all(Engine *engine) {
    for (uint32_t i = 0; i < engine->geometry.publishers && !failed(engine); i++) {
        connection_write(engine, &engine->publishers[i]);
        connection_watch(engine, &engine->publishers[i]);
    }
}

/* Sends what has become due. A publisher that the kernel does not let send is left to the poller. */
void publish_due(Engine *engine) {
    Pace *pace = &engine->pace;
    pace->due = NEVER;
    if (!paced(engine) || !running(engine))
        return;
    uint64_t ticks = ticks_passed(pace, due_until(engine)), publishers = engine->geometry.publishers;
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
