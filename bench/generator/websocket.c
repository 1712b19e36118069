/* STOMP in WebSocket frames (RFC 6455), the client's side of it. What comes is put together as the stream that it was on
 * TCP, so nothing else need know of it; what goes out is one STOMP frame in each text frame, as browsers do it.
 *
 *      0               1               2
 *     |F|R R R|opcode |M|   length    | 16 or 64 bits of length | mask, only ours | payload
 *                        126, 127: more
 */
#include "websocket.h"

#include <strings.h>

#include "failure.h"

#define LONGEST_ANSWER (16u << 10)
#define LARGEST_PAYLOAD (UINT64_C(1) << 40)
#define FIN 0x80u
#define RESERVED 0x70u
#define CONTROL 0x08u
#define MASKED 0x80u

enum { CONTINUATION, TEXT, BINARY, CLOSE = 8, PING, PONG };

/* ---- masking ---- */

/* Nobody can guess it, but for the same number it is the same: a frame that was sent in part must go on as it began. */
static uint32_t mask_of(const Engine *engine, const Connection *c, uint64_t number) {
    return (uint32_t)(hash_word(hash_word(engine->load.seed, (uint64_t)(c - engine->connections)), number) >> 32);
}

static void mask(char *restrict to, const char *restrict from, size_t length, uint32_t key) {
    uint64_t wide = (uint64_t)key << 32 | key;
    for (; length >= sizeof wide; to += sizeof wide, from += sizeof wide, length -= sizeof wide) {
        uint64_t word;
        memcpy(&word, from, sizeof word);
        word ^= wide;
        memcpy(to, &word, sizeof word);
    }
    for (size_t i = 0; i < length; i++)
        to[i] = (char)(from[i] ^ ((const char *)&key)[i % 4]);
}

/* ---- frames that go out ---- */

static size_t head_size(uint64_t length) {
    return 2 + (length > UINT16_MAX ? 8 : length > 125 ? 2 : 0) + 4;
}

static void write_head(char *at, unsigned opcode, uint64_t length, uint32_t key) {
    size_t size = head_size(length);
    at[0] = (char)(FIN | opcode);
    at[1] = (char)(MASKED | (size == 6 ? length : size == 8 ? 126 : 127));
    for (size_t i = size - 5; i > 1; i--, length >>= 8)
        at[i] = (char)(length & 0xff);
    memcpy(at + size - 4, &key, 4);
}

/* Puts the head of a frame before it; the key is written when it is masked. */
void websocket_wrap(Buffer *frame, size_t *head) {
    size_t length = buffer_length(frame);
    *head = length ? head_size(length) : 0;
    if (length == 0 || buffer_room(frame, *head) == NULL)
        return;
    memmove(buffer_front(frame) + *head, buffer_front(frame), length);
    write_head(buffer_front(frame), TEXT, length, 0);
    frame->end += *head;
}

static void append_frame(Engine *engine, Connection *c, unsigned opcode, const char *payload, size_t length) {
    uint32_t key = mask_of(engine, c, ++engine->keys << 48);
    size_t head = head_size(length);
    char *room = buffer_room(&c->framed, head + length);
    if (room == NULL)
        return;
    write_head(room, opcode, length, key);
    mask(room + head, payload, length, key);
    c->framed.end += head + length;
}

/* Nothing of what is sent has a NUL in its body. */
void websocket_frame_control(Engine *engine, Connection *c) {
    Buffer *control = &c->control;
    while (buffer_length(control)) {
        const char *frame = buffer_front(control);
        const char *end = memchr(frame, '\0', buffer_length(control));
        size_t length = end ? (size_t)(end - frame) + 1 : buffer_length(control);
        append_frame(engine, c, TEXT, frame, length);
        buffer_take(control, length);
    }
}

/* The head and the payload of a frame that is ready but for its mask. */
static void mask_at(Frames *frames, size_t at, size_t head, size_t length, uint32_t key) {
    const char *from = frames->bytes.bytes + at;
    char *to = frames->masked.bytes + at;
    memcpy(to, from, head - 4);
    memcpy(to + head - 4, &key, 4);
    mask(to + head, from + head, length - head, key);
}

/* The same keys for the same message, BEGIN and COMMIT around it included. */
static void mask_slot(Engine *engine, const Connection *c, uint64_t slot, uint64_t number) {
    Frames *frames = &engine->frames;
    size_t at = slice_at(frames, slot);
    if (frames->opening && slot % frames->unit == 0) {
        mask_at(frames, at, frames->opening_head, frames->opening, mask_of(engine, c, 4 * number + 1));
        at += frames->opening;
    }
    mask_at(frames, at, frames->head, frames->length, mask_of(engine, c, 4 * number));
    if (frames->closing && (slot + 1) % frames->unit == 0)
        mask_at(frames, at + frames->length, frames->closing_head, frames->closing, mask_of(engine, c, 4 * number + 2));
}

/* The connection's next messages, which are in these slots, at the same places in bytes that may be sent; or NULL. */
const char *websocket_masked(Engine *engine, const Connection *c, uint64_t slot, uint64_t count) {
    Frames *frames = &engine->frames;
    if (frames->masked.bytes == NULL && buffer_room(&frames->masked, frames->bytes.end) == NULL) {
        fail_memory(engine);
        return NULL;
    }
    if (frames->unit == 1)
        for (uint64_t i = 0; i < count; i++)
            mask_at(frames, i * frames->length, frames->head, frames->length, mask_of(engine, c, 4 * (c->sent + i)));
    else
        for (uint64_t i = 0; i < count; i++)
            mask_slot(engine, c, slot + i, c->sent + i);
    return frames->masked.bytes;
}

/* ---- the upgrade ---- */

void websocket_ask(Engine *engine, Connection *c) {
    const Load *load = &engine->load;
    bool is_ipv6 = strchr(load->host, ':') != NULL;
    buffer_text(&c->framed, "GET ");
    buffer_text(&c->framed, load->path);
    buffer_text(&c->framed, " HTTP/1.1\r\nHost: ");
    buffer_text(&c->framed, is_ipv6 ? "[" : "");
    buffer_text(&c->framed, load->host);
    buffer_format(&c->framed, "%s:%d\r\n", is_ipv6 ? "]" : "", load->port);
    buffer_text(&c->framed, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Protocol: v12.stomp\r\nSec-WebSocket-Key: ");
    buffer_text(&c->framed, load->key);
    buffer_text(&c->framed, "\r\n\r\n");
}

/* The value of a header of the answer, or NULL. */
static const char *find_field(const char *answer, const char *end, const char *name, size_t *length) {
    size_t named = strlen(name);
    const char *line = memchr(answer, '\n', (size_t)(end - answer));
    for (; line && ++line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        if ((size_t)(end - line) <= named || strncasecmp(line, name, named) || line[named] != ':')
            continue;
        const char *value = line + named + 1, *last = memchr(line, '\r', (size_t)(end - line));
        while (value < last && (*value == ' ' || *value == '\t'))
            value++;
        while (value < last && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        *length = (size_t)(last - value);
        return value;
    }
    return NULL;
}

static bool field_is(const char *answer, const char *end, const char *name, const char *expected) {
    size_t length;
    const char *value = find_field(answer, end, name, &length);
    return value && length == strlen(expected) && !strncasecmp(value, expected, length);
}

/* It is base64: capitals are other letters. */
static bool proves_key(const Engine *engine, const char *answer, const char *end) {
    size_t length;
    const char *value = find_field(answer, end, "Sec-WebSocket-Accept", &length);
    return value && length == strlen(engine->load.accept) && !memcmp(value, engine->load.accept, length);
}

static bool check_answer(Engine *engine, Connection *c, const char *answer, const char *end) {
    size_t length, status = (size_t)((const char *)memchr(answer, '\r', (size_t)(end - answer)) - answer);
    if (status < 12 || memcmp(answer, "HTTP/1.1 101", 12)) {
        turn_away(engine, c, "did not upgrade to a WebSocket for", answer, status);
        return false;
    }
    if (!field_is(answer, end, "Upgrade", "websocket") || !proves_key(engine, answer, end))
        return refuse(engine, c, "answered the upgrade without its key to", answer, (size_t)(end - answer));
    if (find_field(answer, end, "Sec-WebSocket-Extensions", &length) ||
        (find_field(answer, end, "Sec-WebSocket-Protocol", &length) &&
         !field_is(answer, end, "Sec-WebSocket-Protocol", "v12.stomp")))
        return refuse(engine, c, "chose what was not offered by", answer, (size_t)(end - answer));
    return true;
}

/* How long the answer is, or 0 if it is not whole, or not good. */
static size_t upgrade(Engine *engine, Connection *c, const char *bytes, size_t length) {
    static const char first[] = "HTTP/";
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (memcmp(bytes, first, length < 5 ? length : 5)) {
        refuse(engine, c, "speaks no WebSocket; it said to", bytes, length);
        return 0;
    }
    if (end == NULL) {
        if (length > LONGEST_ANSWER)
            refuse(engine, c, "answered the upgrade without an end to", bytes, length);
        return 0;
    }
    if (!check_answer(engine, c, bytes, end + 2))
        return 0;
    c->state = LOGGING_IN;
    engine->protocol->log_in(engine, c);
    return (size_t)(end - bytes) + 4;
}

/* ---- frames that come ---- */

/* What is cut off of a head, or of a control frame, goes before the next read. Of CLOSE the payload is kept. */
static void keep_start(Connection *c, const char *from, size_t length) {
    c->framing.kept = (uint8_t)length;
    memcpy(c->framing.start, from, length);
}

/* Returns its size, or 0 if it is not whole. */
static size_t take_control(Engine *engine, Connection *c, const uint8_t *frame, size_t available) {
    unsigned opcode = frame[0] & 0x0f;
    size_t length = frame[1];
    if (!(frame[0] & FIN) || length > 125 || opcode > PONG) {
        refuse(engine, c, "sent a control frame that is none to", "", 0);
        return 0;
    }
    if (available < 2 + length)
        return 0;
    if (opcode == PING)
        append_frame(engine, c, PONG, (const char *)frame + 2, length);
    if (opcode == CLOSE) {
        c->framing.closed = true;
        keep_start(c, (const char *)frame + 2, length);
    }
    return 2 + length;
}

/* The size of the head of a frame of messages, or 0 if it is not whole; its payload is what comes next. */
static size_t take_head(Engine *engine, Connection *c, const uint8_t *frame, size_t available) {
    unsigned opcode = frame[0] & 0x0f;
    size_t size = frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
    if (opcode > BINARY || (opcode == CONTINUATION) != c->framing.inside) {
        refuse(engine, c, "sent a frame that must not come now to", "", 0);
        return 0;
    }
    if (available < size)
        return 0;
    uint64_t length = size == 2 ? frame[1] : 0;
    for (size_t i = 2; i < size; i++)
        length = length << 8 | frame[i];
    if (length > LARGEST_PAYLOAD) {
        refuse(engine, c, "sent a frame without an end to", "", 0);
        return 0;
    }
    c->framing.left = length;
    c->framing.inside = !(frame[0] & FIN);
    return size;
}

static size_t take_frame(Engine *engine, Connection *c, const uint8_t *frame, size_t available) {
    if (available < 2)
        return 0;
    if (frame[0] & RESERVED || frame[1] & MASKED) {
        refuse(engine, c, "sent a frame that is masked or compressed to", "", 0);
        return 0;
    }
    return frame[0] & CONTROL ? take_control(engine, c, frame, available) : take_head(engine, c, frame, available);
}

/* |stream|head|payload|head|payload|... becomes |stream|payload|payload|...; returns where that ends. */
static char *unframe(Engine *engine, Connection *c, char *bytes, char *limit) {
    Framing *framing = &c->framing;
    char *to = bytes;
    while (bytes < limit && !framing->closed) {
        size_t used = (size_t)(limit - bytes);
        if (framing->left) {
            used = framing->left < used ? (size_t)framing->left : used;
            memmove(to, bytes, used);
            to += used;
            framing->left -= used;
        } else if ((used = take_frame(engine, c, (uint8_t *)bytes, used)) == 0) {
            break;
        }
        bytes += used;
    }
    if (!framing->closed && !failed(engine))
        keep_start(c, bytes, (size_t)(limit - bytes));
    return to;
}

/* Of so many bytes the first are a stream that is known already, and the others came from the WebSocket: how many it is
 * now. */
size_t websocket_read(Engine *engine, Connection *c, char *bytes, size_t known, size_t length) {
    size_t answer = 0;
    if (c->state == UPGRADING) {
        if ((answer = upgrade(engine, c, bytes, length)) == 0)
            return length;
        memmove(bytes, bytes + answer, length - answer);
        known = 0;
    }
    return (size_t)(unframe(engine, c, bytes + known, bytes + length - answer) - bytes);
}

/* The server has closed the WebSocket: the code, and whatever else it gave as a reason. */
void websocket_closed(Engine *engine, Connection *c) {
    char said[160];
    const char *payload = c->framing.start;
    int length = c->framing.kept;
    unsigned code = (unsigned)(uint8_t)payload[0] << 8 | (uint8_t)payload[1];
    int size = length < 2 ? 0 : snprintf(said, sizeof said, "%u %.*s", code, length - 2, payload + 2);
    turn_away(engine, c, "closed the WebSocket of", said, (size_t)size);
}

/* Says that nothing more will come, and does not mind if the server has gone already. */
void websocket_leave(Engine *engine, Connection *c) {
    static const char normal[] = {0x03, (char)0xe8};
    append_frame(engine, c, CLOSE, normal, sizeof normal);
    engine->carrier->send(engine, c, buffer_front(&c->framed), buffer_length(&c->framed));
}
