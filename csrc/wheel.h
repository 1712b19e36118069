/* Floor 0: the timers of a hub.
 *
 * A hashed wheel: SLOTS lists, one per tick of TICK milliseconds; a timer due later than one revolution waits in its
 * slot and is looked at once per revolution. Arming and cancelling are a few pointer writes. Timers are fields of their
 * owners and are armed for the earliest of the owner's deadlines; a deadline that moves away (a byte was received) is
 * not re-armed, the owner looks again when the timer fires.
 */
#ifndef FASTBROKER_WHEEL_H
#define FASTBROKER_WHEEL_H

#include <stdint.h>

#include "csrc/ring.h"

#define SLOTS 1024
#define TICK 10

typedef struct Timer {
    Link link;    /* in a slot while armed */
    uint64_t due; /* milliseconds of the hub's clock */
    void (*fire)(void *owner);
} Timer;

typedef struct Wheel {
    Link slots[SLOTS];
    uint64_t tick; /* the last tick that was worked off */
} Wheel;

static inline void wheel_init(Wheel *wheel, uint64_t now) {
    int i;
    for (i = 0; i < SLOTS; i++)
        ring_init(&wheel->slots[i]);
    wheel->tick = now / TICK;
}

static inline void timer_init(Timer *timer, void (*fire)(void *owner), void *owner) {
    link_init(&timer->link, owner);
    timer->due = 0;
    timer->fire = fire;
}

static inline void timer_cancel(Timer *timer) {
    link_leave(&timer->link);
}

/* Fires in the first tick that begins at `due` or later; never early. */
static inline void timer_arm(Wheel *wheel, Timer *timer, uint64_t due) {
    uint64_t tick = (due + TICK - 1) / TICK;
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    timer->due = tick * TICK;
    link_join(&wheel->slots[tick % SLOTS], &timer->link);
}

static inline void wheel_work_off(Wheel *wheel) {
    Link *slot = &wheel->slots[wheel->tick % SLOTS];
    Link waiting;
    ring_init(&waiting);
    ring_splice(&waiting, slot);
    while (!ring_empty(&waiting)) {
        Timer *timer = (Timer *)waiting.next; /* its first field */
        if (timer->due <= wheel->tick * TICK) {
            link_leave(&timer->link);
            timer->fire(timer->link.owner);
        } else {
            link_join(slot, &timer->link);
        }
    }
}

/* Fires all that is due at `now`. A timer may arm and cancel any timer, itself included. */
static inline void wheel_advance(Wheel *wheel, uint64_t now) {
    while (wheel->tick < now / TICK) {
        wheel->tick++;
        wheel_work_off(wheel);
    }
}

#endif
