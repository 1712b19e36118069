/* STOMP 1.2, the generator's side of it.
 *
 *     SEND\n destination:/topic/bench\n [content-length:100\n] \n BODY NUL
 *     MESSAGE\n subscription:s0\n message-id:x\n [ack:x\n] ... \n BODY NUL [\n]
 *     ACK\n id:x\n \n NUL
 */
#include <string.h>

#include "protocol.h"

static void add_header(buffer *frame, const char *name, const char *value)
{
    buffer_append_text(frame, name);
    buffer_append_text(frame, ":");
    buffer_append_text(frame, value);
    buffer_append_text(frame, "\n");
}

static void add_number_header(buffer *frame, const char *name, size_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    add_header(frame, name, text);
}

static void end_frame(buffer *frame, const buffer *body)
{
    buffer_append_text(frame, "\n");
    if (body)
        buffer_append(frame, body->data, body->length);
    buffer_append(frame, "", 1);
}

/* Sends the frame, waits for the reply, and makes room for the next frame. */
static void exchange(connection *c, buffer *frame, const char *reply)
{
    end_frame(frame, NULL);
    connection_request(c, frame, reply, '\0');
    frame->length = 0;
}

static void log_in(connection *c, buffer *frame)
{
    buffer_append_text(frame, "CONNECT\n");
    add_header(frame, "accept-version", "1.2");
    add_header(frame, "host", "/");
    add_header(frame, "heart-beat", "0,0");
    exchange(c, frame, "CONNECTED\n");
}

static void subscribe(connection *c, buffer *frame, const subscription *s)
{
    char id[24];
    snprintf(id, sizeof id, "s%d", s->id);
    c->acknowledges = strcmp(s->ack, "auto") != 0;
    buffer_append_text(frame, "SUBSCRIBE\n");
    add_header(frame, "id", id);
    add_header(frame, "destination", s->destination);
    add_header(frame, "ack", s->ack);
    if (c->acknowledges)
        add_number_header(frame, "prefetch-count", (size_t)s->prefetch);
    add_header(frame, "receipt", id);
    exchange(c, frame, "RECEIPT\n");
}

static void start(connection *c, role r, const subscription *s)
{
    buffer frame = {0};
    log_in(c, &frame);
    if (r != PUBLISHER)
        subscribe(c, &frame, s);
    free(frame.data);
}

void stomp_encode(buffer *out, const char *destination, const buffer *body, bool content_length)
{
    buffer_append_text(out, "SEND\n");
    add_header(out, "destination", destination);
    if (content_length)
        add_number_header(out, "content-length", body->length);
    end_frame(out, body);
}

/* Answers a message with an ACK that repeats its `ack` header byte for byte: whatever the server
 * escaped in it is escaped in the same way coming back. The frame ends in NUL, as strings do. */
static void acknowledge(connection *c, const char *frame)
{
    const char *line = strchr(frame, '\n');
    while (line && line[1] != '\n' && strncmp(line + 1, "ack:", 4))
        line = strchr(line + 1, '\n');
    if (!line || line[1] == '\n')
        connection_refuse("a message without an ack header", frame, strlen(frame));
    const char *value = line + 5;
    buffer_append_text(&c->output, "ACK\nid:");
    buffer_append(&c->output, value, (size_t)(strchrnul(value, '\n') - value));
    buffer_append(&c->output, "\n\n", 3);
}

/* Where the frame's NUL is. Bodies are ours and have no NUL, so the first NUL ends the frame. All
 * messages of a run are alike but for a digit or two in their message-id, so it is nearly always
 * exactly as far away as the last time, and a NUL there cannot be that of a later frame. Looking
 * there first saves touching every byte. */
static const char *find_end(connection *c, const char *frame, const char *limit)
{
    size_t available = (size_t)(limit - frame);
    size_t guess = c->expected_length;
    if (guess && guess <= available && frame[guess - 1] == '\0')
        return frame + guess - 1;
    const char *end = memchr(frame, '\0', available);
    if (end)
        c->expected_length = (size_t)(end - frame) + 1;
    return end;
}

static void take_frame(connection *c, const char *frame, const char *end)
{
    static const char message[] = "MESSAGE\n";
    size_t length = (size_t)(end - frame);
    if (length < sizeof message || memcmp(frame, message, sizeof message - 1))
        connection_refuse("expected a MESSAGE", frame, length);
    c->received++;
    if (c->acknowledges)
        acknowledge(c, frame);
}

static size_t scan(connection *c, const char *data, size_t length)
{
    const char *at = data, *limit = data + length;
    for (;;) {
        while (at < limit && *at == '\n')
            at++;
        const char *end = find_end(c, at, limit);
        if (!end)
            return (size_t)(at - data);
        take_frame(c, at, end);
        at = end + 1;
    }
}

const protocol stomp_protocol = {
    .name = "stomp",
    .topic_prefix = "/topic/",
    .queue_prefix = "/queue/",
    .start = start,
    .encode = stomp_encode,
    .scan = scan,
};
