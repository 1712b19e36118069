/* Floor 0: the output of one connection, from the first byte appended to the system call.
 *
 *     data  |....sent....|##### own bytes #####|##### own bytes #####|......free......|
 *           0            start        ^ share.at                     end       capacity
 *                                     `- a large body goes out here by reference, not copied
 *
 * A buffer is taken from a pool at the first append and given back when all is sent, so an idle connection holds none.
 * An OutBuf that was appended to stands in one of two rings of its Outlets: `dirty`, flushed whole in every turn, or
 * `bulk`, where large fan-outs wait to be flushed in slices. What is here is what the wire gets: frames that are
 * wrapped once more are wrapped as they are written (wrapping.h).
 *
 * Limits: above `soft` pending bytes publishers wait, below `low` they go on (flow.h), above `hard` the connection is
 * doomed.
 */
#ifndef FASTBROKER_OUTBUF_H
#define FASTBROKER_OUTBUF_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "csrc/census.h"
#include "csrc/flow.h"
#include "csrc/ring.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: CPython ignores SIGPIPE */
#endif
#ifndef MSG_MORE
#define MSG_MORE 0
#endif

#define POOL_CLASSES 7
#define POOL_BYTES ((size_t)32 << 20) /* of all classes together */
#define SMALLEST_BUFFER ((size_t)1024)
#define MOST_PIECES 64
#define WORTH_A_CALL ((size_t)24576) /* bytes */

/* Something counted and immutable whose bytes an output may point into. The first field of its owner. */
typedef struct Shared {
    uint32_t references;
    uint32_t sender; /* of a message: the Origin that it is from; it has room here */
    void (*release)(struct Shared *shared);
} Shared;

static inline void shared_drop(Shared *shared) {
    if (--shared->references == 0)
        shared->release(shared);
}

typedef struct Share {
    size_t at; /* goes out when `start` has reached this offset of `data` */
    const char *bytes;
    size_t length;
    Shared *owner;
} Share;

enum {
    DOOM_NONE,
    DOOM_OVERFLOW,
    DOOM_SLOW,    /* what it may hold others for is used up */
    DOOM_STALLED, /* it takes nothing at all */
    DOOM_MEMORY,
    DOOM_LOST     /* there is no socket any more */
};

typedef struct Outlets {
    Link dirty, bulk;
    void *pool[POOL_CLASSES];
    size_t pooled[POOL_CLASSES];
    size_t idle[POOL_CLASSES]; /* the least that was pooled since the last trim: nobody needed it */
    size_t kept;               /* in the pool altogether; it is charged to nobody */
    size_t soft, low, hard;
    uint64_t sent; /* bytes that the kernel has taken; twice those that a transport has */
    size_t own; /* from here on a client that does not read its answers is not read from */
    const Ceiling *ceiling;
    Census *census;
} Outlets;

typedef struct OutBuf {
    char *data;
    size_t start, end, capacity;
    size_t shared_bytes; /* of the bodies by reference */
    size_t begun;        /* own bytes, and those by reference, in front of the frame that is being wrapped */
    size_t begun_shared;
    Share *shares;
    uint32_t share_count, share_capacity;
    uint8_t size_class;  /* what the last burst needed */
    uint8_t in_bulk;
    uint8_t doom;        /* why the connection must end; nothing is appended any more */
    uint8_t frame_end;   /* bytes of NUL LF that end a frame here: 2, or 1 for a client that cannot take the LF */
    uint8_t framing;     /* how STOMP frames are wrapped here */
    uint8_t swell;       /* times `hard` that wrapping may make of what was within it */
    uint8_t blocked;     /* the transport still has bytes of ours: nothing may overtake them */
    int fd;              /* of the socket; -1: only the transport can write (TLS), or it is closed */
    uint64_t sent;       /* bytes that have left */
    int64_t messages;    /* MESSAGE frames that were written here */
    Flow flow;           /* what is held back because this is too full */
    Link link;           /* in `dirty` or `bulk`; its owner is the connection's */
    Outlets *outlets;
} OutBuf;

static inline void outbuf_init(OutBuf *out, Outlets *outlets, void *owner) {
    memset(out, 0, sizeof *out);
    out->outlets = outlets;
    out->frame_end = 2;
    out->fd = -1;
    out->swell = 1;
    link_init(&out->link, owner);
    flow_init(&out->flow);
}

static inline size_t outbuf_pending(const OutBuf *out) {
    return out->end - out->start + out->shared_bytes;
}

/* What counts against the limits: bytes to send now, and bytes that wait for credit. */
static inline size_t outbuf_pressure(const OutBuf *out) {
    return outbuf_pending(out) + out->flow.backlog;
}

/* To be flushed in this turn. */
static inline void outbuf_touch(OutBuf *out) {
    if (link_joined(&out->link) && !out->in_bulk)
        return;
    out->in_bulk = 0;
    link_join(&out->outlets->dirty, &out->link);
}

/* To be flushed when its slice of a large fan-out comes. */
static inline void outbuf_touch_bulk(OutBuf *out) {
    if (link_joined(&out->link))
        return;
    out->in_bulk = 1;
    link_join(&out->outlets->bulk, &out->link);
}

static inline void outbuf_doom(OutBuf *out, int why) {
    if (out->doom == DOOM_NONE)
        out->doom = (uint8_t)why;
    outbuf_touch(out);
}

/* ---- memory ---- */

static inline size_t class_bytes(unsigned size_class) {
    return SMALLEST_BUFFER << (2 * size_class);
}

static inline void *pool_take(Outlets *outlets, unsigned size_class) {
    void *buffer = outlets->pool[size_class];
    if (buffer == NULL)
        return malloc(class_bytes(size_class));
    outlets->pool[size_class] = *(void **)buffer;
    outlets->kept -= class_bytes(size_class);
    outlets->pooled[size_class] -= class_bytes(size_class);
    if (outlets->pooled[size_class] < outlets->idle[size_class])
        outlets->idle[size_class] = outlets->pooled[size_class];
    return buffer;
}

static inline void pool_give(Outlets *outlets, unsigned size_class, void *buffer) {
    if (outlets->kept + class_bytes(size_class) > POOL_BYTES) {
        free(buffer);
        return;
    }
    *(void **)buffer = outlets->pool[size_class];
    outlets->pool[size_class] = buffer;
    outlets->kept += class_bytes(size_class);
    outlets->pooled[size_class] += class_bytes(size_class);
}

/* Gives back to the system what was not needed since the last call. */
static inline void pool_trim(Outlets *outlets) {
    unsigned size_class;
    for (size_class = 0; size_class < POOL_CLASSES; size_class++) {
        size_t surplus = outlets->idle[size_class];
        for (; surplus > 0; surplus -= class_bytes(size_class))
            free(pool_take(outlets, size_class));
        outlets->idle[size_class] = outlets->pooled[size_class];
    }
}

static inline void pool_free(Outlets *outlets) {
    pool_trim(outlets);
    pool_trim(outlets);
}

static inline void outbuf_give_back(OutBuf *out) {
    if (out->data == NULL)
        return;
    out->outlets->census->memory -= (int64_t)out->capacity;
    if (out->size_class < POOL_CLASSES)
        pool_give(out->outlets, out->size_class, out->data);
    else
        free(out->data);
    out->data = NULL;
    out->capacity = 0;
}

/* All was sent. The next burst starts with a buffer that fits this one, or a quarter if that was too much. */
static inline void outbuf_reset(OutBuf *out) {
    unsigned fits = out->size_class;
    if (fits > 0 && (fits >= POOL_CLASSES || out->end < out->capacity / 4))
        fits--;
    outbuf_give_back(out);
    out->size_class = (uint8_t)fits;
    out->start = out->end = 0;
}

static inline void outbuf_move_shares(OutBuf *out, size_t down) {
    uint32_t i;
    for (i = 0; i < out->share_count; i++)
        out->shares[i].at -= down;
}

static int outbuf_resize(OutBuf *out, size_t needed) {
    size_t live = out->end - out->start, capacity;
    unsigned size_class = out->size_class < POOL_CLASSES ? out->size_class : POOL_CLASSES - 1;
    char *data;
    while (size_class < POOL_CLASSES && class_bytes(size_class) < needed)
        size_class++;
    for (capacity = class_bytes(size_class); capacity < needed; capacity *= 2)
        ;
    data = (char *)(size_class < POOL_CLASSES ? pool_take(out->outlets, size_class) : malloc(capacity));
    if (data == NULL) {
        outbuf_doom(out, DOOM_MEMORY);
        return -1;
    }
    if (live)
        memcpy(data, out->data + out->start, live);
    outbuf_give_back(out);
    outbuf_move_shares(out, out->start);
    out->outlets->census->memory += (int64_t)capacity;
    out->data = data;
    out->size_class = (uint8_t)size_class;
    out->capacity = capacity;
    out->start = 0;
    out->end = live;
    return 0;
}

static char *outbuf_make_room(OutBuf *out, size_t needed) {
    size_t live = out->end - out->start;
    if (out->doom != DOOM_NONE)
        return NULL;
    if (outbuf_pending(out) + needed > out->outlets->hard * out->swell) {
        outbuf_doom(out, DOOM_OVERFLOW);
        return NULL;
    }
    if (out->start >= live && out->capacity - live >= needed) {
        memmove(out->data, out->data + out->start, live);
        outbuf_move_shares(out, out->start);
        out->start = 0;
        out->end = live;
    } else if (outbuf_resize(out, live + needed) < 0) {
        return NULL;
    }
    return out->data + out->end;
}

/* Room for `needed` bytes at the end, or NULL when the connection is, or by this becomes, doomed. */
static inline char *outbuf_reserve(OutBuf *out, size_t needed) {
    if (out->capacity - out->end >= needed && out->doom == DOOM_NONE)
        return out->data + out->end;
    return outbuf_make_room(out, needed);
}

static inline void outbuf_commit(OutBuf *out, const char *end) {
    out->end = (size_t)(end - out->data);
}

/* Copies bytes to the end; nothing happens on a doomed connection. */
static inline void outbuf_put(OutBuf *out, const char *bytes, size_t length) {
    char *room = outbuf_reserve(out, length);
    if (room == NULL || length == 0)
        return;
    memcpy(room, bytes, length);
    out->end += length;
}

/* Sends `length` bytes behind what is there now without copying them; `owner` is kept alive until then. */
static inline void outbuf_put_shared(OutBuf *out, const char *bytes, size_t length, Shared *owner) {
    Share *shares = out->shares;
    if (outbuf_reserve(out, 1) == NULL)
        return;
    if (outbuf_pending(out) + length > out->outlets->hard * out->swell) {
        outbuf_doom(out, DOOM_OVERFLOW);
        return;
    }
    if (out->share_count == out->share_capacity) {
        uint32_t capacity = out->share_capacity ? out->share_capacity * 2 : 4;
        shares = (Share *)realloc(out->shares, capacity * sizeof(Share));
        if (shares == NULL) {
            outbuf_doom(out, DOOM_MEMORY);
            return;
        }
        out->shares = shares;
        out->share_capacity = capacity;
    }
    shares[out->share_count].at = out->end;
    shares[out->share_count].bytes = bytes;
    shares[out->share_count].length = length;
    shares[out->share_count].owner = owner;
    out->share_count++;
    out->shared_bytes += length;
    owner->references++;
}

/* ---- sending ---- */

static inline void outbuf_drop_first_share(OutBuf *out) {
    shared_drop(out->shares[0].owner);
    out->share_count--;
    memmove(out->shares, out->shares + 1, out->share_count * sizeof(Share));
}

/* `length` bytes of what is pending have left. */
static inline void outbuf_consume(OutBuf *out, size_t length) {
    while (length > 0) {
        Share *share = out->share_count ? &out->shares[0] : NULL;
        size_t own = (share ? share->at : out->end) - out->start;
        size_t taken;
        if (own > 0) {
            taken = length < own ? length : own;
            out->start += taken;
        } else {
            taken = length < share->length ? length : share->length;
            share->bytes += taken;
            share->length -= taken;
            out->shared_bytes -= taken;
        }
        length -= taken;
        if (share && share->length == 0 && share->at == out->start)
            outbuf_drop_first_share(out);
    }
    if (outbuf_pending(out) == 0)
        outbuf_reset(out);
}

/* Lists what is pending, in order, as at most MOST_PIECES pieces. */
static inline int outbuf_pieces(const OutBuf *out, struct iovec *pieces) {
    size_t position = out->start;
    uint32_t i;
    int count = 0;
    for (i = 0; i < out->share_count && count < MOST_PIECES - 2; i++) {
        const Share *share = &out->shares[i];
        if (share->at > position) {
            pieces[count].iov_base = out->data + position;
            pieces[count++].iov_len = share->at - position;
            position = share->at;
        }
        pieces[count].iov_base = (void *)(uintptr_t)share->bytes;
        pieces[count++].iov_len = share->length;
    }
    if (i == out->share_count && out->end > position) {
        pieces[count].iov_base = out->data + position;
        pieces[count++].iov_len = out->end - position;
    }
    return count;
}

/* One system call. Returns the bytes that the kernel took, or -1 with errno. What is `last` goes in one packet with the
 * end of the stream, which must follow. */
static inline ssize_t outbuf_send(OutBuf *out, bool last) {
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (last ? MSG_MORE : 0);
    ssize_t sent;
    if (out->share_count == 0) {
        sent = send(out->fd, out->data + out->start, out->end - out->start, flags);
    } else {
        struct iovec pieces[MOST_PIECES];
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = pieces;
        message.msg_iovlen = (size_t)outbuf_pieces(out, pieces);
        sent = sendmsg(out->fd, &message, flags);
    }
    if (sent > 0) {
        out->outlets->sent += (uint64_t)sent;
        out->sent += (uint64_t)sent;
        outbuf_consume(out, (size_t)sent);
    }
    return sent;
}

/* Nothing follows what was sent. If the peer has gone, those who read are told. */
static inline void outbuf_end(OutBuf *out) {
    shutdown(out->fd, SHUT_WR);
}

/* Sends what was just written ahead of the turn, while it is in the cache, if it is all there is and worth a system
 * call. What the kernel does not take, and what goes wrong, is left to the flush. */
static inline void outbuf_push(OutBuf *out, size_t written) {
    if (written >= WORTH_A_CALL && outbuf_pending(out) == written && out->fd >= 0 && !out->blocked)
        outbuf_send(out, false);
}

/* The first bytes that stand together, at most `most` of them. */
static inline size_t outbuf_peek(const OutBuf *out, const char **bytes, size_t most) {
    struct iovec pieces[MOST_PIECES];
    if (outbuf_pieces(out, pieces) == 0)
        return 0;
    *bytes = (const char *)pieces[0].iov_base;
    return pieces[0].iov_len < most ? pieces[0].iov_len : most;
}

static inline void outbuf_free(OutBuf *out) {
    while (out->share_count)
        shared_drop(out->shares[--out->share_count].owner);
    out->shared_bytes = 0;
    outbuf_reset(out);
    free(out->shares);
    out->shares = NULL;
    out->share_capacity = 0;
    link_leave(&out->link);
}

#endif
