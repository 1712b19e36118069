/* Floor 0: the places of connections that have not logged in, and who makes room when there are no more.
 *
 *     awaited   oldest -- o -- o -- newest     those who have yet to say something, in the order in which they came
 *     of_host   | 0 | 3 | 0 | 1 | ...          how many places the clients of a host have, awaited or not
 *
 * Of those who have waited the longest the one goes whose host has the most places, if it has had the `least` time that
 * everybody has, or if its host has more than PLACES_FAIR times as many as the newcomer's. If there is none, there is
 * no place. So who says nothing keeps nobody out for long, and a host that comes back faster than that only itself.
 *
 * Hosts share counters by a secret hash, so they need no memory of their own: two that meet in one are taken for one.
 */
#ifndef FASTBROKER_PLACES_H
#define FASTBROKER_PLACES_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "csrc/ring.h"
#include "csrc/table.h"

#define PLACES_HOSTS 4096
#define PLACES_LOOK 16 /* so many of the oldest are compared */
#define PLACES_FAIR 2
#define PLACES_NETWORK 8 /* bytes of an address of IPv6 that are one host's */

typedef struct Place {
    Link link;      /* among those who are awaited */
    uint64_t since; /* clock, milliseconds */
    int host;       /* its counter; -1: has no place */
} Place;

typedef struct Places {
    Link awaited;
    uint64_t least; /* milliseconds */
    uint64_t seed;
    uint32_t most;
    uint32_t taken;
    uint32_t of_host[PLACES_HOSTS];
} Places;

static inline void places_init(Places *places, uint32_t most, uint64_t least, uint64_t seed) {
    memset(places, 0, sizeof *places);
    ring_init(&places->awaited);
    places->most = most;
    places->least = least;
    places->seed = seed;
}

static inline void place_init(Place *place, void *owner) {
    link_init(&place->link, owner);
    place->since = 0;
    place->host = -1;
}

/* Where a peer like "[2001:db8::1]:4711" comes from: its network. 0: it is no address of IPv6 by itself. */
static inline int places_network(const char *peer, size_t length, char *network) {
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t size = 0;
    while (size + 1 < length && size + 1 < sizeof text && peer[size + 1] != ']' && peer[size + 1] != '%') {
        text[size] = peer[size + 1];
        size++;
    }
    text[size] = '\0';
    if (inet_pton(AF_INET6, text, &address) != 1 || IN6_IS_ADDR_V4MAPPED(&address))
        return 0;
    memcpy(network, &address, PLACES_NETWORK);
    return 1;
}

/* Who counts as one: a host, of IPv6 a network of 64 bits, all processes of a Unix socket. */
static inline int places_host(const Places *places, const char *peer, size_t length) {
    char network[PLACES_NETWORK];
    size_t size = length;
    if (length && peer[0] == '[' && places_network(peer, length, network)) {
        peer = network;
        size = PLACES_NETWORK;
    } else {
        while (size && peer[size - 1] != ':')
            size--;
        size = size ? size : length;
    }
    return (int)(hash_bytes(peer, size, places->seed) % PLACES_HOSTS);
}

static inline void place_take(Places *places, Place *place, const char *peer, size_t length, uint64_t now) {
    place->since = now;
    place->host = places_host(places, peer, length);
    places->taken++;
    places->of_host[place->host]++;
    link_join(&places->awaited, &place->link);
}

/* It has said what it had to say, and keeps its place while it waits for us. */
static inline void place_spoken(Place *place) {
    link_leave(&place->link);
}

/* It has logged in, or is to go. More than once is fine. */
static inline void place_leave(Places *places, Place *place) {
    if (place->host < 0)
        return;
    places->taken--;
    places->of_host[place->host]--;
    place->host = -1;
    link_leave(&place->link);
}

static inline int places_too_many(const Places *places) {
    return places->taken > places->most;
}

static inline int places_may_ask(const Places *places, const Place *place, const Place *newcomer, uint64_t now) {
    return now >= place->since + places->least ||
           places->of_host[place->host] > PLACES_FAIR * places->of_host[newcomer->host];
}

/* Who makes room for a newcomer that has its place already; NULL: nobody has to. */
static inline void *places_slowest(const Places *places, const Place *newcomer, uint64_t now) {
    const Place *slowest = NULL;
    const Link *link = places->awaited.next;
    int left = PLACES_LOOK;
    for (; left && link != &places->awaited; left--, link = link->next) {
        const Place *place = (const Place *)link; /* its first field */
        if (place == newcomer || !places_may_ask(places, place, newcomer, now))
            continue;
        if (slowest == NULL || places->of_host[place->host] > places->of_host[slowest->host])
            slowest = place;
    }
    return slowest ? slowest->link.owner : NULL;
}

#endif
