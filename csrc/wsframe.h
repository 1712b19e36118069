/* Floor 0: WebSocket frames (RFC 6455, section 5), as they come from clients.
 *
 *     FIN:1 RSV:3 opcode:4 | MASK:1 length:7 | length:16 if that was 126, length:64 if 127 | mask:32 if MASK | payload
 *
 * Frames are taken apart where they lie. Payload of data frames is unmasked and moved down over the headers, as it
 * comes and not when its frame is complete, so nothing is kept of a frame but its header and what a control frame
 * holds.
 *
 *     bytes |hd|payload|hd|pay|hd|payload...        ->       |payload|pay|payload...
 *
 * Out: wrapping.h.
 */
#ifndef FASTBROKER_WSFRAME_H
#define FASTBROKER_WSFRAME_H

#include "csrc/wrapping.h"

#define WS_HEAD_MOST 14      /* bytes of the longest header */
#define WS_FRAGMENTS 16384   /* frames of one message */
#define WS_CONTROL_MOST 125  /* bytes of payload of a control frame */

/* What ws_take found. */
enum {
    WS_MORE,    /* all was taken */
    WS_CONTROL, /* a control frame: opcode, control, control_length */
    WS_MESSAGE, /* the end of a message, if that matters */
    WS_RESERVED_BITS, WS_UNKNOWN_OPCODE, WS_UNMASKED, WS_CONTROL_FRAGMENTED, WS_CONTROL_TOO_LONG,
    WS_NOTHING_TO_CONTINUE, WS_NOT_CONTINUED, WS_BAD_LENGTH, WS_TOO_MANY_FRAGMENTS
};

typedef struct WsInput {
    uint64_t left;      /* payload of the frame under way that has not come */
    uint32_t fragments; /* of the message under way; 0: none is */
    uint8_t mask[4];    /* turned so that the next byte is for mask[0] */
    uint8_t opcode, final, in_payload;
    uint8_t by_message; /* where a message ends matters: SockJS */
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

/* Moves payload down, or leaves it where it lies. Up to SCAN_SLACK bytes behind it are read, none that follow it
 * changed. */
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
        return !in->fragments                  ? WS_NOTHING_TO_CONTINUE
             : in->fragments >= WS_FRAGMENTS ? WS_TOO_MANY_FRAGMENTS
                                             : WS_MORE;
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

/* Whether a header, a frame or a message has begun and is not complete. */
static inline int ws_unfinished(const WsInput *in) {
    return in->in_payload || in->head_length > 0 || in->fragments > 0;
}

/* Takes frames from `*bytes` until a control frame is complete, something is wrong, or `limit`. Payload of data frames
 * is appended at `*payload`, which must not lie behind `*bytes`. */
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
        if (in->by_message && in->final)
            return WS_MESSAGE;
    }
}

/* Whether a peer may send this close code (RFC 6455, section 7.4). */
static inline int ws_close_code_valid(unsigned code) {
    int assigned = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
    return assigned || (code >= 3000 && code <= 4999);
}

#endif
