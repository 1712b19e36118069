/* The NATS protocol, as far as a yardstick needs it.
 *
 *     -> PUB bench 100\r\n BODY \r\n          <- MSG bench 0 100\r\n BODY \r\n
 *     -> PONG\r\n                             <- PING\r\n
 */
#include <string.h>

#include "protocol.h"

static void start(connection *c, role r, const subscription *s)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n";
    buffer request = {0};
    connection_request(c, &request, "INFO ", '\n');
    buffer_append_text(&request, hello);
    connection_request(c, &request, "PONG\r\n", '\n');
    if (r != PUBLISHER) {
        char text[256];
        snprintf(text, sizeof text, "SUB %s %d\r\nPING\r\n", s->destination, s->id);
        request.length = 0;
        buffer_append_text(&request, text);
        connection_request(c, &request, "PONG\r\n", '\n');
    }
    free(request.data);
}

static void encode(buffer *out, const char *destination, const buffer *body, bool content_length)
{
    (void)content_length; /* every frame has its length anyway */
    char text[256];
    snprintf(text, sizeof text, "PUB %s %zu\r\n", destination, body->length);
    buffer_append_text(out, text);
    buffer_append(out, body->data, body->length);
    buffer_append_text(out, "\r\n");
}

/* The length of the frame whose first line this is, with the body if it has one. */
static size_t frame_length(connection *c, const char *line, size_t line_length)
{
    if (line_length > 4 && !memcmp(line, "MSG ", 4)) {
        const char *number = memrchr(line, ' ', line_length);
        return line_length + strtoul(number, NULL, 10) + 2;
    }
    if (line_length == 6 && !memcmp(line, "PING\r\n", 6)) {
        buffer_append_text(&c->output, "PONG\r\n");
        return line_length;
    }
    connection_refuse("expected a MSG", line, line_length);
}

/* All messages of a run are equally long, so the line with the length is read only when the last
 * message's length does not lead to the end of this one. Bodies are ours and have no CR in them. */
static bool as_long_as_the_last(const connection *c, const char *frame, size_t available)
{
    size_t guess = c->expected_length;
    return guess && guess <= available && *frame == 'M' && !memcmp(frame + guess - 2, "\r\n", 2);
}

/* Returns 0 when the frame is not complete. */
static size_t measure(connection *c, const char *frame, size_t available)
{
    if (as_long_as_the_last(c, frame, available))
        return c->expected_length;
    const char *line_end = memchr(frame, '\n', available);
    if (!line_end)
        return 0;
    size_t length = frame_length(c, frame, (size_t)(line_end - frame) + 1);
    if (*frame == 'M')
        c->expected_length = length;
    return length <= available ? length : 0;
}

static size_t scan(connection *c, const char *data, size_t length)
{
    size_t at = 0, frame;
    while (at < length && (frame = measure(c, data + at, length - at))) {
        c->received += data[at] == 'M';
        at += frame;
    }
    return at;
}

const protocol nats_protocol = {
    .name = "nats",
    .topic_prefix = "",
    .start = start,
    .encode = encode,
    .scan = scan,
};
