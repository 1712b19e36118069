/* Floor 0: WebSocket frames (RFC 6455, section 5), as they come from clients and as they go out.
 *
 *     FIN:1 RSV:3 opcode:4 | MASK:1 length:7 | length:16 if that was 126, length:64 if 127 | mask:32 if MASK | payload
 *
 * In: frames are taken apart where they lie. Payload of data frames is unmasked and moved down over the headers, as it
 * comes and not when its frame is complete, so nothing is kept of a frame but its header and what a control frame holds.
 *
 *     bytes |hd|payload|hd|pay|hd|payload...        ->       |payload|pay|payload...
 *
 * Out: an OutBuf holds STOMP frames one behind the other; each becomes a message of one frame. A large one is staged
 * (put behind its header, next to others, for one system call) in parts.
 */
#ifndef FASTBROKER_WSFRAME_H
#define FASTBROKER_WSFRAME_H

#include "csrc/outbuf.h"
#include "csrc/wire.h"

#define WS_HEAD_MOST 14      /* bytes of the longest header */
#define WS_FRAGMENTS 16384   /* frames of one message */
#define WS_CONTROL_MOST 125  /* bytes of payload of a control frame */

enum { WS_CONTINUATION, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING, WS_PONG };

/* What ws_take found. */
enum {
    WS_MORE,    /* all was taken */
    WS_CONTROL, /* a control frame: opcode, control, control_length */
    WS_RESERVED_BITS, WS_UNKNOWN_OPCODE, WS_UNMASKED, WS_CONTROL_FRAGMENTED, WS_CONTROL_TOO_LONG, WS_NOTHING_TO_CONTINUE,
    WS_NOT_CONTINUED, WS_BAD_LENGTH, WS_TOO_MANY_FRAGMENTS
};

typedef struct WsInput {
    uint64_t left;      /* payload of the frame under way that has not come */
    uint32_t fragments; /* of the message under way; 0: none is */
    uint8_t mask[4];    /* turned so that the next byte is for mask[0] */
    uint8_t opcode, final, in_payload;
    uint8_t head_length, control_length;
    uint8_t head[WS_HEAD_MOST]; /* of a header that a read cut off */
    char control[WS_CONTROL_MOST];
} WsInput;

/* ---- in ---- */

/* Turns the mask so that it goes on behind `length` bytes. */
static inline void ws_turn(uint8_t *mask, size_t length) {
    uint8_t turned[4];
    unsigned i;
    for (i = 0; i < 4; i++)
        turned[i] = mask[(i + length) & 3];
    memcpy(mask, turned, 4);
}

/* Sixteen bytes a step: reads, and writes, up to fifteen bytes behind the end. */
static inline void ws_unmask_steps(char *to, const char *from, size_t length, const uint8_t *mask) {
    uint64_t wide, step[2];
    size_t at;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (at = 0; at < length; at += 16) {
        memcpy(step, from + at, 16);
        step[0] ^= wide;
        step[1] ^= wide;
        memcpy(to + at, step, 16);
    }
}

/* Moves payload down, or leaves it where it lies. Up to SCAN_SLACK bytes behind it are read, none that follow it changed. */
static inline void ws_unmask(char *to, const char *from, size_t length, const uint8_t *mask) {
    size_t at = from - to >= 16 ? length : length & ~(size_t)15;
    ws_unmask_steps(to, from, at, mask);
    for (; at < length; at++)
        to[at] = (char)(from[at] ^ (char)mask[at & 3]);
}

/* What is wrong with the first two bytes of a frame, or WS_MORE. */
static inline int ws_refuse(const WsInput *in, const uint8_t *head) {
    unsigned opcode = head[0] & 15, length = head[1] & 127;
    if (head[0] & 0x70)
        return WS_RESERVED_BITS;
    if ((opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return WS_UNKNOWN_OPCODE;
    if (!(head[1] & 0x80))
        return WS_UNMASKED;
    if (opcode >= WS_CLOSE)
        return !(head[0] & 0x80) ? WS_CONTROL_FRAGMENTED : length > WS_CONTROL_MOST ? WS_CONTROL_TOO_LONG : WS_MORE;
    if (opcode == WS_CONTINUATION)
        return !in->fragments ? WS_NOTHING_TO_CONTINUE : in->fragments >= WS_FRAGMENTS ? WS_TOO_MANY_FRAGMENTS : WS_MORE;
    return in->fragments ? WS_NOT_CONTINUED : WS_MORE;
}

static inline unsigned ws_head_size(const uint8_t *head) {
    unsigned length = head[1] & 127;
    return 6 + (length == 126 ? 2 : length == 127 ? 8 : 0);
}

static inline uint64_t ws_big_endian(const uint8_t *bytes, unsigned count) {
    uint64_t value = 0;
    while (count--)
        value = value << 8 | *bytes++;
    return value;
}

/* A whole header: WS_MORE when its payload follows. */
static inline int ws_open(WsInput *in, const uint8_t *head) {
    unsigned length = head[1] & 127, size = ws_head_size(head);
    in->left = length < 126 ? length : ws_big_endian(head + 2, size - 6);
    if ((length == 126 && in->left < 126) || (length == 127 && (in->left <= 0xffff || in->left >> 63)))
        return WS_BAD_LENGTH;
    in->opcode = head[0] & 15;
    in->final = head[0] >> 7;
    if (in->opcode < WS_CLOSE)
        in->fragments = in->final ? 0 : in->fragments + 1;
    else
        in->control_length = 0;
    memcpy(in->mask, head + size - 4, 4);
    in->in_payload = 1;
    return WS_MORE;
}

/* The header of the next frame, which may come byte by byte; in_payload says whether it is complete. */
static inline int ws_head(WsInput *in, char **bytes, const char *limit) {
    const uint8_t *head = (const uint8_t *)*bytes;
    int refused;
    if (in->head_length == 0 && limit - *bytes >= WS_HEAD_MOST) {
        if ((refused = ws_refuse(in, head)) != WS_MORE)
            return refused;
        *bytes += ws_head_size(head);
        return ws_open(in, head);
    }
    while (in->head_length < 2 || in->head_length < ws_head_size(in->head)) {
        if (*bytes == limit)
            return WS_MORE;
        in->head[in->head_length++] = (uint8_t)*(*bytes)++;
        if (in->head_length == 2 && (refused = ws_refuse(in, in->head)) != WS_MORE)
            return refused;
    }
    in->head_length = 0;
    return ws_open(in, in->head);
}

/* `length` bytes of the frame under way. */
static inline void ws_payload(WsInput *in, const char *bytes, size_t length, char **payload) {
    if (in->opcode >= WS_CLOSE) {
        memcpy(in->control + in->control_length, bytes, length);
        ws_unmask(in->control + in->control_length, in->control + in->control_length, length, in->mask);
        in->control_length = (uint8_t)(in->control_length + length);
    } else {
        ws_unmask(*payload, bytes, length, in->mask);
        *payload += length;
    }
    in->left -= length;
}

/* Takes frames from `*bytes` until a control frame is complete, something is wrong, or `limit`. Payload of data frames is
 * appended at `*payload`, which must not lie behind `*bytes`. */
static inline int ws_take(WsInput *in, char **bytes, const char *limit, char **payload) {
    size_t length;
    int found;
    for (;;) {
        if (!in->in_payload && ((found = ws_head(in, bytes, limit)) != WS_MORE || !in->in_payload))
            return found;
        length = (size_t)(limit - *bytes);
        if (length < in->left) {
            ws_payload(in, *bytes, length, payload);
            ws_turn(in->mask, length);
            *bytes += length;
            return WS_MORE;
        }
        length = (size_t)in->left;
        ws_payload(in, *bytes, length, payload);
        *bytes += length;
        in->in_payload = 0;
        if (in->opcode >= WS_CLOSE)
            return WS_CONTROL;
    }
}

/* Whether a peer may send this close code (RFC 6455, section 7.4). */
static inline int ws_close_code_valid(unsigned code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) || (code >= 3000 && code <= 4999);
}

/* ---- out ---- */

/* A header of at most 10 bytes; what the broker sends is not masked. */
static inline size_t ws_put_head(char *to, int opcode, size_t length) {
    size_t size = length < 126 ? 2 : length <= 0xffff ? 4 : 10, at;
    uint64_t rest = length;
    to[0] = (char)(0x80 | opcode);
    to[1] = (char)(size == 2 ? length : size == 4 ? 126 : 127);
    for (at = size; at > 2; rest >>= 8)
        to[--at] = (char)(rest & 255);
    return size;
}

/* A place in what is pending. */
typedef struct WsPlace {
    const struct iovec *piece, *end;
    size_t offset;
} WsPlace;

/* Moves on by up to `length` bytes within one piece; `*part` is where they lie. */
static inline size_t ws_step(WsPlace *place, size_t length, const char **part) {
    size_t here = place->piece->iov_len - place->offset;
    if (length > here)
        length = here;
    *part = (const char *)place->piece->iov_base + place->offset;
    place->offset += length;
    if (place->offset == place->piece->iov_len) {
        place->piece++;
        place->offset = 0;
    }
    return length;
}

/* The value behind "content-length:", which lies whole in front of `limit`; -1 if it is empty. */
static inline int64_t ws_counted(const char *digits, const char *limit) {
    const char *end = (const char *)memchr(digits, '\n', (size_t)(limit - digits));
    uint64_t number;
    return parse_number(digits, (size_t)(end - digits), 10, &number) ? (int64_t)number : -1;
}

/* What is known of a frame's header lines so far. */
typedef struct WsHead {
    const char *end;    /* behind the blank line, or NULL */
    int64_t counted;    /* the value of content-length, or -1 */
    int seen;           /* content-length: of repeated headers the first counts, and an empty one counts as none */
} WsHead;

static inline void ws_look(WsHead *head, const char *line, const char *limit) {
    static const char name[] = "content-length:";
    if (!head->seen && limit - line > (ptrdiff_t)sizeof name && memcmp(line, name, sizeof name - 1) == 0) {
        head->seen = 1;
        head->counted = ws_counted(line + sizeof name - 1, limit);
    }
}

#if defined(__SSE2__)

/* Sixteen bytes a step, for blank lines and lines that begin with c. Returns how far it came. */
static inline const char *ws_head_steps(WsHead *head, const char *p, const char *limit) {
    for (; head->end == NULL && limit - p > 16; p += 16) {
        __m128i here = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
        __m128i feeds = _mm_cmpeq_epi8(here, _mm_set1_epi8('\n'));
        unsigned blank = mask_of(_mm_and_si128(feeds, _mm_cmpeq_epi8(next, _mm_set1_epi8('\n'))));
        unsigned lines = mask_of(_mm_and_si128(feeds, _mm_cmpeq_epi8(next, _mm_set1_epi8('c'))));
        if (blank) {
            head->end = p + __builtin_ctz(blank) + 2;
            lines &= (blank & (0u - blank)) - 1;
        }
        for (; lines; lines &= lines - 1)
            ws_look(head, p + __builtin_ctz(lines) + 1, limit);
    }
    return p;
}

#else

static inline const char *ws_head_steps(WsHead *head, const char *p, const char *limit) {
    (void)head, (void)limit;
    return p;
}

#endif

/* Reads the header lines of a frame of ours, which lie in one piece: only bodies go out by reference. */
static inline WsHead ws_stomp_head(const char *frame, const char *limit) {
    WsHead head = {NULL, -1, 0};
    const char *p = ws_head_steps(&head, frame, limit);
    for (; head.end == NULL && p + 1 < limit; p++) {
        if (p[0] == '\n' && p[1] == '\n')
            head.end = p + 2;
        else if (p[0] == '\n' && p[1] == 'c')
            ws_look(&head, p + 1, limit);
    }
    return head;
}

/* Bytes up to and with the first NUL from `place` on; all there is if there is none. */
static inline size_t ws_to_nul(WsPlace place) {
    size_t length = 0, here;
    const char *part, *nul;
    while (place.piece < place.end) {
        here = ws_step(&place, SIZE_MAX, &part);
        if ((nul = (const char *)memchr(part, 0, here)) != NULL)
            return length + (size_t)(nul + 1 - part);
        length += here;
    }
    return length;
}

/* Bytes of the STOMP frame, or the heart-beat, at `place`. They are our own: well-formed, and complete. */
static inline size_t ws_stomp_frame(const WsPlace *place) {
    const char *frame = (const char *)place->piece->iov_base + place->offset;
    WsPlace body = *place;
    WsHead head;
    size_t length;
    if (*frame == '\n')
        return 1;
    head = ws_stomp_head(frame, (const char *)place->piece->iov_base + place->piece->iov_len);
    length = (size_t)(head.end - frame);
    if (head.counted >= 0)
        return length + (size_t)head.counted + 1;
    ws_step(&body, length, &frame);
    return length + ws_to_nul(body);
}

/* Bytes of the first STOMP frame that is pending, or 0. */
static inline size_t ws_first_frame(const OutBuf *out) {
    struct iovec pieces[MOST_PIECES];
    WsPlace place = {pieces, pieces + outbuf_pieces(out, pieces), 0};
    return place.piece == place.end ? 0 : ws_stomp_frame(&place);
}

/* WS_TEXT if the bytes are UTF-8, else WS_BINARY. A piece ends where a body begins or ends, so no character is cut. */
static inline int ws_opcode_of(WsPlace place, size_t length) {
    const char *part;
    size_t here;
    for (; length > 0 && place.piece < place.end; length -= here) {
        here = ws_step(&place, length, &part);
        if (!utf8_valid(part, here))
            return WS_BINARY;
    }
    return WS_TEXT;
}

/* What was put into a stage. */
typedef struct WsStaged {
    size_t length;  /* bytes in the stage */
    size_t payload; /* bytes of what was pending that are among them */
    size_t left;    /* of the last frame, payload that is still to be staged */
} WsStaged;

/* Puts what is pending, behind `left` bytes of a frame whose header is sent already, into `stage` as WebSocket frames. */
static WsStaged ws_stage(const OutBuf *out, size_t left, char *stage, size_t room) {
    struct iovec pieces[MOST_PIECES];
    WsStaged staged = {0, 0, left};
    WsPlace place;
    const char *part;
    size_t here;
    place.piece = pieces;
    place.end = pieces + outbuf_pieces(out, pieces);
    place.offset = 0;
    while (place.piece < place.end && room - staged.length > WS_HEAD_MOST) {
        if (staged.left == 0) {
            staged.left = ws_stomp_frame(&place);
            staged.length += ws_put_head(stage + staged.length, ws_opcode_of(place, staged.left), staged.left);
        }
        here = room - staged.length;
        here = ws_step(&place, staged.left < here ? staged.left : here, &part);
        memcpy(stage + staged.length, part, here);
        staged.length += here;
        staged.payload += here;
        staged.left -= here;
    }
    return staged;
}

/* The same of the first `sent` staged bytes, which began with `left` bytes of a frame. A header is not cut: `length` may
 * be more than `sent`. */
static WsStaged ws_sent(const char *stage, size_t sent, size_t left) {
    WsStaged part = {0, 0, left};
    size_t here;
    while (part.length < sent) {
        if (part.left == 0) {
            const uint8_t *head = (const uint8_t *)stage + part.length;
            unsigned size = head[1] < 126 ? 2 : head[1] == 126 ? 4 : 10;
            part.left = size == 2 ? head[1] : (size_t)ws_big_endian(head + 2, size - 2);
            part.length += size;
        }
        here = sent < part.length ? 0 : sent - part.length;
        if (here > part.left)
            here = part.left;
        part.length += here;
        part.payload += here;
        part.left -= here;
    }
    return part;
}

#endif
