/* Floor 0: whether the other end of a socket that is not being read from is still there. */
#ifndef FASTBROKER_PEER_H
#define FASTBROKER_PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <poll.h>

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* macOS: a peer that has only shut its side is noticed when it is read from again */
#endif

enum { PEER_THERE, PEER_SILENT, PEER_GONE };

/* PEER_SILENT: it has shut its side, so nothing follows what it has sent already. */
static inline int peer_state(int fd) {
    struct pollfd look;
    look.fd = fd;
    look.events = POLLRDHUP;
    look.revents = 0;
    if (fd < 0 || poll(&look, 1, 0) <= 0)
        return PEER_THERE;
    return look.revents & (POLLHUP | POLLERR) ? PEER_GONE : PEER_SILENT;
}

#endif
