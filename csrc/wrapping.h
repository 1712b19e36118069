/* Floor 0: how STOMP frames are wrapped once more, as they are written.
 *
 *     TCP          frame NUL LF
 *     WebSocket    head frame NUL                        head: 0x80 | opcode, length in 1, 3 or 9 bytes (RFC 6455, 5.2)
 *     SockJS       head a["frame NUL, in JSON"]
 *
 * One STOMP frame is one message, in text if it is UTF-8. It is known when a frame is written where it ends, so nobody
 * looks for that later; what an OutBuf holds is what the wire gets, whatever the wrapping. A head that turns out to be
 * longer than was thought pushes the frame aside: only short frames, and the head lines of those whose body goes by
 * reference.
 *
 * SockJS has text alone: of bytes that are no UTF-8, `?` takes the place of each, so that content-length stays right.
 */
#ifndef FASTBROKER_WRAPPING_H
#define FASTBROKER_WRAPPING_H

#include "csrc/outbuf.h"
#include "csrc/wire.h"

enum { FRAMING_NONE, FRAMING_WEBSOCKET, FRAMING_SOCKJS };
enum { WS_CONTINUATION, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING, WS_PONG };

#define WS_HEAD_OUT 10       /* bytes of the longest head that is sent */
#define WRAPPED_SWELL 6      /* a byte of JSON may take so many */
#define JSON_STEP 16         /* room that one step of escaping wants */
#define JSON_PIECE ((size_t)65536)

/* ---- heads ---- */

/* What the broker sends is not masked. */
static inline size_t ws_put_head(char *to, int opcode, size_t length) {
    size_t size = length < 126 ? 2 : length <= 0xffff ? 4 : WS_HEAD_OUT, at;
    uint64_t rest = length;
    to[0] = (char)(0x80 | opcode);
    to[1] = (char)(size == 2 ? length : size == 4 ? 126 : 127);
    for (at = size; at > 2; rest >>= 8)
        to[--at] = (char)(rest & 255);
    return size;
}

static inline int ws_opcode(const char *bytes, size_t length) {
    return utf8_valid(bytes, length) ? WS_TEXT : WS_BINARY;
}

/* ---- JSON ---- */

/* Bytes of the character at `p`, or 0 if it is no UTF-8. */
static inline size_t utf8_length(const char *p, const char *limit) {
    uint8_t first = (uint8_t)*p;
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    return length > 1 && ((size_t)(limit - p) < length || !utf8_valid(p, length)) ? 0 : length;
}

/* One character, or one byte that is none; at most WRAPPED_SWELL bytes for each that is taken. */
static inline size_t json_character(char *to, const char **from, const char *limit) {
    static const char hex[] = "0123456789abcdef", short_for[] = "btn\0fr"; /* of 8 to 13 */
    uint8_t byte = (uint8_t)**from;
    size_t length = utf8_length(*from, limit);
    if (length > 1) {
        memcpy(to, *from, length);
        *from += length;
        return length;
    }
    *from += 1;
    if (byte >= ' ' && byte != '"' && byte != '\\') {
        *to = length ? (char)byte : '?';
        return 1;
    }
    *to = '\\';
    to[1] = byte >= ' ' ? (char)byte : byte >= 8 && byte <= 13 ? short_for[byte - 8] : 0;
    if (to[1])
        return 2;
    memcpy(to + 1, "u00", 3);
    to[4] = hex[byte >> 4];
    to[5] = hex[byte & 15];
    return 6;
}

#if defined(__SSE2__)

/* Sixteen bytes as they are, or as many of them as need no escape; what is written behind those is written over. */
static inline size_t json_plain(char *to, const char *from) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i plain = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' ' - 1)); /* signed: no byte above 0x7f either */
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i quotes = _mm_or_si128(quote, slash);
    unsigned other = ~mask_of(_mm_andnot_si128(quotes, plain)) & 0xffff;
    _mm_storeu_si128((__m128i *)(void *)to, bytes);
    return other ? (size_t)__builtin_ctz(other) : 16;
}

#else

static inline size_t json_plain(char *to, const char *from) {
    size_t length = 0;
    for (; length < 16 && from[length] >= ' ' && from[length] < 0x7f && from[length] != '"' && from[length] != '\\';
         length++)
        to[length] = from[length];
    return length;
}

#endif

/* Writes what lies from `*from` on as the inside of a JSON string, until all is or there is no room for a step. Returns
 * the bytes written. */
static inline size_t json_escape(char *to, size_t room, const char **from, const char *limit) {
    char *start = to, *end = to + room;
    size_t plain;
    while (*from < limit && end - to >= JSON_STEP) {
        plain = limit - *from >= 16 ? json_plain(to, *from) : 0;
        to += plain;
        *from += plain;
        if (plain < 16 && *from < limit && end - to >= JSON_STEP)
            to += json_character(to, from, limit);
    }
    return (size_t)(to - start);
}

/* ---- bodies by reference, in JSON ---- */

typedef struct Wrapped {
    Shared shared;
    Census *census;
    size_t length, size;
    char bytes[];
} Wrapped;

static inline void wrapped_free(Shared *shared) {
    Wrapped *wrapped = (Wrapped *)shared;
    wrapped->census->memory -= (int64_t)wrapped->size;
    free(wrapped);
}

/* Made once for a message, whoever gets it. With one reference, the caller's; NULL when there is no memory. */
static inline Wrapped *wrapped_new(Census *census, const char *bytes, size_t length) {
    size_t room = length + length / 16 + 256;
    const char *from = bytes, *limit = bytes + length;
    Wrapped *wrapped = (Wrapped *)malloc(sizeof(Wrapped) + room), *larger;
    for (size_t done = 0; wrapped != NULL; room *= 2, wrapped = larger) {
        done += json_escape(wrapped->bytes + done, room - done, &from, limit);
        if (from == limit) {
            larger = (Wrapped *)realloc(wrapped, sizeof(Wrapped) + done);
            wrapped = larger ? larger : wrapped;
            *wrapped = (Wrapped){{1, 0, wrapped_free}, census, done, sizeof(Wrapped) + done};
            census->memory += (int64_t)wrapped->size;
            return wrapped;
        }
        if ((larger = (Wrapped *)realloc(wrapped, sizeof(Wrapped) + 2 * room)) == NULL)
            free(wrapped);
    }
    return NULL;
}

/* ---- frames ---- */

/* Room for the heads of so many frames. */
static inline size_t framed_room(const OutBuf *out, size_t frames) {
    return out->framing != FRAMING_NONE ? frames * WS_HEAD_OUT : 0;
}

/* Room for a head that is not known yet: that of most frames which are written this way. */
static inline size_t framed_guess(const OutBuf *out) {
    return out->framing == FRAMING_SOCKJS ? 4 : 2;
}

static void framed_open(OutBuf *out) {
    size_t own = out->end - out->start, shared = out->shared_bytes;
    char *room = outbuf_reserve(out, framed_guess(out) + 3);
    if (room == NULL)
        return;
    out->begun = own;
    out->begun_shared = shared;
    room += framed_guess(out);
    if (out->framing == FRAMING_SOCKJS) {
        memcpy(room, "a[\"", 3);
        room += 3;
    }
    outbuf_commit(out, room);
}

/* Moves the frame that is being written up, so that the head in front of it has `size` bytes. */
static char *framed_shift(OutBuf *out, size_t guess, size_t size) {
    size_t own = out->end - out->start - out->begun - guess;
    uint32_t i = out->share_count;
    char *head;
    if (size > guess && outbuf_reserve(out, size - guess) == NULL)
        return NULL;
    head = out->data + out->start + out->begun;
    if (size == guess)
        return head;
    memmove(head + size, head + guess, own);
    for (; i > 0 && out->shares[i - 1].at > out->start + out->begun; i--)
        out->shares[i - 1].at += size - guess;
    out->end += size - guess;
    return head;
}

static void framed_close(OutBuf *out, int opcode) {
    char made[WS_HEAD_OUT], *head;
    size_t length, size;
    if (out->framing == FRAMING_SOCKJS) {
        outbuf_put(out, "\"]", 2);
        opcode = WS_TEXT;
    }
    if (out->doom != DOOM_NONE)
        return;
    length = out->end - out->start - out->begun - framed_guess(out) + out->shared_bytes - out->begun_shared;
    size = ws_put_head(made, opcode, length);
    if ((head = framed_shift(out, framed_guess(out), size)) != NULL)
        memcpy(head, made, size);
}

static inline void framed_begin(OutBuf *out) {
    if (out->framing != FRAMING_NONE)
        framed_open(out);
}

/* `opcode`: WS_TEXT, or WS_BINARY if its bytes are no UTF-8. */
static inline void framed_end(OutBuf *out, int opcode) {
    if (out->framing != FRAMING_NONE)
        framed_close(out, opcode);
}

static void framed_escape(OutBuf *out, const char *bytes, size_t length) {
    const char *limit = bytes + length;
    while (bytes < limit) {
        size_t rest = (size_t)(limit - bytes);
        char *room = outbuf_reserve(out, (rest < JSON_PIECE ? rest : JSON_PIECE) + 2 * JSON_STEP);
        if (room == NULL)
            return;
        out->end += json_escape(room, out->capacity - out->end, &bytes, limit);
    }
}

/* A part of the frame. No character may lie across two of them. */
static inline void framed_put(OutBuf *out, const char *bytes, size_t length) {
    if (out->framing == FRAMING_SOCKJS)
        framed_escape(out, bytes, length);
    else
        outbuf_put(out, bytes, length);
}

#endif
