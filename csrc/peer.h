/* Floor 0: the other end of a socket: who it is, and whether it is still there while it is not being read from. */
#ifndef FASTBROKER_PEER_H
#define FASTBROKER_PEER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "csrc/wire.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0 /* macOS: a peer that has only shut its side is noticed when it is read from again */
#endif

enum { PEER_NAME = 96 };

/* Writes 192.0.2.7:50000, [2001:db8::7]:50000 or unix:pid=1,uid=2,gid=3; returns the length, or 0 where the system does
 * not tell any more. */
static inline int peer_name(int fd, char *out) {
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    char host[INET6_ADDRSTRLEN];
    memset(&name, 0, sizeof(name));
    if (getpeername(fd, (struct sockaddr *)&name, &length) != 0)
        return 0;
    if (name.ss_family == AF_INET) {
        const struct sockaddr_in *ip = (const struct sockaddr_in *)&name;
        const unsigned char *part = (const unsigned char *)&ip->sin_addr;
        char *end = out;
        for (int i = 0; i < 4; i++) {
            end += put_number(end, part[i]);
            *end++ = i < 3 ? '.' : ':';
        }
        return (int)(end + put_number(end, ntohs(ip->sin_port)) - out);
    }
    if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *ip = (const struct sockaddr_in6 *)&name;
        if (inet_ntop(AF_INET6, &ip->sin6_addr, host, sizeof(host)) == NULL)
            return 0;
        return snprintf(out, PEER_NAME, "[%s]:%u", host, ntohs(ip->sin6_port));
    }
#ifdef SO_PEERCRED
    if (name.ss_family == AF_UNIX) {
        struct ucred process;
        length = sizeof(process);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &length) == 0)
            return snprintf(out, PEER_NAME, "unix:pid=%d,uid=%d,gid=%d", process.pid, process.uid, process.gid);
    }
#endif
    return name.ss_family == AF_UNIX ? snprintf(out, PEER_NAME, "unix") : 0;
}

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
