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

/* `to` may overlap `from` if it does not lie behind it. */
static inline void ws_unmask(char *to, const char *from, size_t length, uint8_t *mask) {
    uint64_t wide, a, b, c, d;
    uint8_t turned[4];
    size_t at = 0;
    unsigned i;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (; at + 32 <= length; at += 32) {
        memcpy(&a, from + at, 8), memcpy(&b, from + at + 8, 8), memcpy(&c, from + at + 16, 8), memcpy(&d, from + at + 24, 8);
        a ^= wide, b ^= wide, c ^= wide, d ^= wide;
        memcpy(to + at, &a, 8), memcpy(to + at + 8, &b, 8), memcpy(to + at + 16, &c, 8), memcpy(to + at + 24, &d, 8);
    }
    for (; at + 8 <= length; at += 8) {
        memcpy(&a, from + at, 8);
        a ^= wide;
        memcpy(to + at, &a, 8);
    }
    for (; at < length; at++)
        to[at] = (char)(from[at] ^ (char)mask[at & 3]);
    for (i = 0; i < 4; i++)
        turned[i] = mask[(i + length) & 3];
    memcpy(mask, turned, 4);
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

/* Takes frames from `*bytes` until a control frame is complete, something is wrong, or `limit`. Payload of data frames is
 * appended at `*payload`, which must not lie behind `*bytes`. */
static inline int ws_take(WsInput *in, char **bytes, const char *limit, char **payload) {
    size_t length;
    int found;
    for (;;) {
        if (!in->in_payload && ((found = ws_head(in, bytes, limit)) != WS_MORE || !in->in_payload))
            return found;
        length = (size_t)(limit - *bytes);
        if (length > in->left)
            length = (size_t)in->left;
        if (in->opcode >= WS_CLOSE) {
            ws_unmask(in->control + in->control_length, *bytes, length, in->mask);
            in->control_length = (uint8_t)(in->control_length + length);
        } else {
            ws_unmask(*payload, *bytes, length, in->mask);
            *payload += length;
        }
        *bytes += length;
        in->left -= length;
        if (in->left)
            return WS_MORE;
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

/* Bytes of the header lines with the blank line behind them, and the value of content-length or -1. A frame's header
 * lines lie in one piece: only bodies go out by reference. */
static inline size_t ws_stomp_head(const char *frame, const char *limit, int64_t *counted) {
    static const char name[] = "content-length:";
    const char *line = frame, *end;
    int seen = 0;
    uint64_t number;
    *counted = -1;
    while ((end = (const char *)memchr(line, '\n', (size_t)(limit - line))) != NULL && end > line) {
        size_t length = (size_t)(end - line);
        if (*line == 'c' && !seen && length >= sizeof name - 1 && memcmp(line, name, sizeof name - 1) == 0) {
            seen = 1; /* of repeated headers the first counts, and an empty one counts as none */
            if (parse_number(line + sizeof name - 1, length - (sizeof name - 1), 10, &number))
                *counted = (int64_t)number;
        }
        line = end + 1;
    }
    return end == NULL ? (size_t)(limit - frame) : (size_t)(end + 1 - frame);
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
    int64_t counted;
    size_t head;
    WsPlace body = *place;
    if (*frame == '\n')
        return 1;
    head = ws_stomp_head(frame, (const char *)place->piece->iov_base + place->piece->iov_len, &counted);
    if (counted >= 0)
        return head + (size_t)counted + 1;
    ws_step(&body, head, &frame);
    return head + ws_to_nul(body);
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

/* Puts what is pending, behind `left` bytes of a frame whose header is sent already, into `stage` as WebSocket frames. */
static size_t ws_stage(const OutBuf *out, size_t left, char *stage, size_t room) {
    struct iovec pieces[MOST_PIECES];
    WsPlace place;
    const char *part;
    size_t staged = 0, here;
    place.piece = pieces;
    place.end = pieces + outbuf_pieces(out, pieces);
    place.offset = 0;
    while (place.piece < place.end) {
        if (left == 0) {
            if (room - staged < WS_HEAD_MOST)
                break;
            left = ws_stomp_frame(&place);
            staged += ws_put_head(stage + staged, ws_opcode_of(place, left), left);
        }
        here = ws_step(&place, left < room - staged ? left : room - staged, &part);
        memcpy(stage + staged, part, here);
        staged += here;
        left -= here;
        if (staged == room)
            break;
    }
    return staged;
}

/* How much of what was pending the first `*sent` staged bytes are; `*left` is brought up to date. A header is not cut:
 * `*sent` grows to its end. */
static size_t ws_staged(const char *stage, size_t *sent, size_t *left) {
    size_t at = 0, payload = 0, here, head;
    while (at < *sent) {
        if (*left == 0) {
            unsigned length = (unsigned char)stage[at + 1];
            head = length < 126 ? 2 : length == 126 ? 4 : 10;
            *left = head == 2 ? length : (size_t)ws_big_endian((const uint8_t *)stage + at + 2, (unsigned)head - 2);
            at += head;
            if (at >= *sent)
                *sent = at;
        }
        here = *sent - at < *left ? *sent - at : *left;
        at += here;
        payload += here;
        *left -= here;
    }
    return payload;
}

#endif
