/* Which sockets have something for us: epoll on Linux, kqueue on macOS and the BSDs. Level-triggered. */
#ifndef BENCH_POLLER_H
#define BENCH_POLLER_H

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#if defined(__linux__) && !defined(BENCH_KQUEUE)
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#else
#include <sys/event.h>
#include <sys/time.h>
#endif

#include "clock.h"

#define POLL_READ 1u
#define POLL_WRITE 2u
#define POLL_HANG_UP 4u /* only that: what there is to read stays unread */
#define POLL_MOST 256

typedef struct Ready {
    void *owner;
    unsigned events;
} Ready;

#if defined(__linux__) && !defined(BENCH_KQUEUE)

static inline int poller_open(void) {
    return epoll_create1(EPOLL_CLOEXEC);
}

/* Linux may let a sleeper lie 50 us longer than it asked for, to save power; not this thread. */
static inline void poller_wake_on_time(void) {
    prctl(PR_SET_TIMERSLACK, 1);
}

static inline uint32_t epoll_events_of(unsigned events) {
    return (events & POLL_READ ? EPOLLIN : 0u) | (events & POLL_WRITE ? EPOLLOUT : 0u) |
           (events & POLL_HANG_UP ? EPOLLRDHUP : 0u);
}

/* From `before` to `after`; a closed socket is forgotten without being asked. */
static inline int poller_set(int poller, int fd, unsigned before, unsigned after, void *owner) {
    struct epoll_event event = {.events = epoll_events_of(after), .data.ptr = owner};
    return epoll_ctl(poller, !before ? EPOLL_CTL_ADD : !after ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, fd, &event);
}

/* epoll_wait knows only milliseconds, so what is left of a wait is ppoll's, for the poller itself. */
static inline int epoll_wait_ns(int poller, struct epoll_event *events, uint64_t ns) {
    struct timespec time = {.tv_nsec = (long)ns};
    struct pollfd self = {.fd = poller, .events = POLLIN};
    if (ns == 0 || ns >= SECOND / 1000)
        return epoll_wait(poller, events, POLL_MOST, ns < 1000 * SECOND ? (int)(ns / (SECOND / 1000)) : 1000000);
    int ready = ppoll(&self, 1, &time, NULL);
    return ready > 0 ? epoll_wait(poller, events, POLL_MOST, 0) : ready;
}

/* At most so long; how many are ready, or -1 with errno. */
static inline int poller_wait(int poller, Ready *ready, uint64_t ns) {
    struct epoll_event events[POLL_MOST];
    int count = epoll_wait_ns(poller, events, ns);
    for (int i = 0; i < count; i++) {
        uint32_t found = events[i].events;
        unsigned broken = found & (EPOLLERR | EPOLLHUP | EPOLLRDHUP) ? POLL_READ | POLL_HANG_UP : 0u;
        ready[i].owner = events[i].data.ptr;
        ready[i].events = (found & EPOLLIN ? POLL_READ : 0u) | (found & EPOLLOUT ? POLL_WRITE : 0u) | broken;
    }
    return count;
}

#else

static inline int poller_open(void) {
    return kqueue();
}

static inline void poller_wake_on_time(void) {
}

static inline void kevent_change(struct kevent *changes, int *count, int fd, int filter, int flags, void *owner) {
    EV_SET(&changes[*count], (uintptr_t)fd, filter, flags, 0, 0, owner);
    ++*count;
}

/* From `before` to `after`. Who waits only for a hang-up is told of what comes once (EV_CLEAR), and can leave it there. */
static inline int poller_set(int poller, int fd, unsigned before, unsigned after, void *owner) {
    const unsigned reading = POLL_READ | POLL_HANG_UP;
    struct kevent changes[3];
    int count = 0;
    if ((before ^ after) & reading) {
        if (before & reading)
            kevent_change(changes, &count, fd, EVFILT_READ, EV_DELETE, owner);
        if (after & reading)
            kevent_change(changes, &count, fd, EVFILT_READ, EV_ADD | (after & POLL_READ ? 0 : EV_CLEAR), owner);
    }
    if ((before ^ after) & POLL_WRITE)
        kevent_change(changes, &count, fd, EVFILT_WRITE, after & POLL_WRITE ? EV_ADD : EV_DELETE, owner);
    return count ? kevent(poller, changes, count, NULL, 0, NULL) : 0;
}

static inline int poller_wait(int poller, Ready *ready, uint64_t ns) {
    struct timespec time = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
    struct kevent events[POLL_MOST];
    int count = kevent(poller, NULL, 0, events, POLL_MOST, &time);
    for (int i = 0; i < count; i++) {
        unsigned direction = events[i].filter == EVFILT_READ ? POLL_READ : POLL_WRITE;
        ready[i].owner = events[i].udata;
        ready[i].events = direction | (events[i].flags & EV_EOF ? POLL_READ | POLL_HANG_UP : 0u);
    }
    return count;
}

#endif

#endif
