/* The NATS protocol, as far as a yardstick needs it.
 *
 *     -> PUB bench [reply] 100\r\n BODY \r\n          <- MSG bench 0 [reply] 100\r\n BODY \r\n
 *     -> PING\r\n                                     <- PONG\r\n     which confirms what came before
 *     -> PONG\r\n                                     <- PING\r\n
 *
 * Bodies are ours and have no CR in them.
 *
 * JetStream is spoken in the same words: jetstream.c has what they are about.
 */
#include "check.h"
#include "failure.h"
#include "jetstream.h"
#include "session.h"

static void add_quoted(Buffer *out, const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_append(out, "\\", 1);
        buffer_append(out, text, 1);
    }
}

static void ask(Connection *c) {
    c->asked++;
    buffer_text(&c->control, "PING\r\n");
}

static void log_in(Engine *engine, Connection *c) {
    const Load *load = &engine->load;
    buffer_text(&c->control, "CONNECT {\"verbose\":false,\"pedantic\":false");
    if (*load->login || *load->passcode) {
        buffer_text(&c->control, ",\"user\":\"");
        add_quoted(&c->control, load->login);
        buffer_text(&c->control, "\",\"pass\":\"");
        add_quoted(&c->control, load->passcode);
        buffer_text(&c->control, "\"");
    }
    buffer_text(&c->control, "}\r\n");
    if (!engine->protocol->stores || !jetstream_open(engine, c))
        buffer_text(&c->control, "PING\r\n");
}

/* Responders share requests: they are one queue group. */
static void subscribe(Engine *engine, Connection *c, const Buffer *destination) {
    buffer_text(&c->control, "SUB ");
    buffer_append(&c->control, destination->bytes, destination->end);
    buffer_format(&c->control, "%s %07u\r\n", c->role == RESPONDER ? " responders" : "", c->asked);
    ask(c);
}

static void unsubscribe(Engine *engine, Connection *c) {
    buffer_format(&c->control, "UNSUB %07u\r\n", c->asked - 1);
    ask(c);
}

static void leave(Engine *engine, Connection *c) {
    c->asked++;
    confirmed(engine, c);
}

static bool redelivered(const Message *message) {
    return false;
}

/* The number of the destination is the end of the subject that was added last. */
static void note_digits(Frames *frames, const Buffer *out) {
    frames->digits = frames->numbered ? out->end - NUMBER_DIGITS : 0;
    frames->digit_count = NUMBER_DIGITS;
}

static void encode(Engine *engine, Buffer *opening, Buffer *sending, Buffer *closing) {
    Frames *frames = &engine->frames;
    size_t size = (size_t)engine->load.size;
    buffer_text(sending, "PUB ");
    buffer_append(sending, frames->destination.bytes, frames->destination.end);
    note_digits(frames, sending);
    if (frames->reply_to.end) {
        buffer_text(sending, " ");
        buffer_append(sending, frames->reply_to.bytes, frames->reply_to.end);
        note_digits(frames, sending);
    }
    if (engine->protocol->stores)
        jetstream_ask_receipt(engine, sending);
    buffer_format(sending, " %zu\r\n", size);
    frames->body = sending->end;
    char *room = buffer_room(sending, size);
    if (room == NULL)
        return;
    memset(room, 'x', size);
    sending->end += size;
    buffer_text(sending, "\r\n");
}

/* ---- reading ---- */

/* The fourth of five words of the line is the reply subject. */
static void answer(Engine *engine, Connection *c, const Message *message) {
    const char *words[6], *at = message->frame;
    int count = 0;
    for (; count < 6 && at && at < message->body; count++) {
        words[count] = at;
        at = memchr(at, ' ', (size_t)(message->body - at));
        at = at ? at + 1 : NULL;
    }
    if (count != 5 || message->body == NULL) {
        refuse(engine, c, "sent a request with no reply subject to", message->frame, 64);
        return;
    }
    buffer_text(&c->control, "PUB ");
    buffer_append(&c->control, words[3], (size_t)(words[4] - words[3]));
    buffer_format(&c->control, "%lld\r\n", (long long)engine->load.size);
    buffer_append(&c->control, message->body, (size_t)engine->load.size);
    buffer_text(&c->control, "\r\n");
}

static void take_message(Engine *engine, Connection *c, const char *line, size_t line_length, size_t length) {
    if (engine->protocol->stores && jetstream_answered(engine, c, line, line_length, length))
        return;
    bool has_size = length - line_length == (size_t)engine->load.size + 2;
    message_came(engine, c, &(Message){
                                .frame = line,
                                .body = has_size ? line + line_length : NULL,
                                .end = line + length - 2,
                            });
    if (c->acknowledges)
        jetstream_acknowledge(engine, c, line, line + line_length);
}

/* It greets, and it may say more about itself later. */
static void take_info(Engine *engine, Connection *c) {
    if (c->state == LOGGING_IN && !c->greeted)
        log_in(engine, c);
    c->greeted = true;
}

static bool is_line(const char *line, size_t length, const char *text) {
    return length == strlen(text) && !memcmp(line, text, length);
}

static void take_line(Engine *engine, Connection *c, const char *line, size_t length) {
    if (is_line(line, length, "PONG\r\n") && c->state == LOGGING_IN)
        logged_in(engine, c);
    else if (is_line(line, length, "PONG\r\n"))
        confirmed(engine, c);
    else if (is_line(line, length, "PING\r\n"))
        buffer_text(&c->control, "PONG\r\n");
    else if (length > 5 && !memcmp(line, "INFO ", 5))
        take_info(engine, c);
    else
        refuse(engine, c, *line == '-' ? "refused" : "sent something unexpected to", line, length);
}

/* Returns its length, or 0 when it is not complete. */
static size_t take_frame(Engine *engine, Connection *c, const char *frame, size_t available) {
    const char *line_end = memchr(frame, '\n', available);
    if (line_end == NULL)
        return 0;
    size_t line_length = (size_t)(line_end - frame) + 1, length = line_length;
    if (line_length <= 4 || memcmp(frame, "MSG ", 4)) {
        take_line(engine, c, frame, line_length);
        return line_length;
    }
    const char *number = line_end;
    while (number > frame && number[-1] != ' ')
        number--;
    length += strtoul(number, NULL, 10) + 2;
    if (length > available)
        return 0;
    c->expected_length = length;
    take_message(engine, c, frame, line_length, length);
    return length;
}

/* All messages of a run are equally long, so where the last one's length leads is looked at before the line is read. */
static bool is_next(Engine *engine, Connection *c, const char *frame, size_t available) {
    size_t guess = c->expected_length, size = (size_t)engine->load.size;
    if (guess > available || guess < size + 8 || *frame != 'M' || memcmp(frame + guess - 2, "\r\n", 2))
        return false;
    const char *body = frame + guess - 2 - size;
    return !memcmp(body - 2, "\r\n", 2) && check_next(engine, c, body);
}

static size_t scan(Engine *engine, Connection *c, const char *bytes, size_t length) {
    size_t at = 0, used;
    while (at < length && !failed(engine)) {
        bool next = is_next(engine, c, bytes + at, length - at);
        used = next ? c->expected_length : take_frame(engine, c, bytes + at, length - at);
        if (next && c->acknowledges)
            jetstream_acknowledge(engine, c, bytes + at, bytes + at + used);
        if (!used)
            break;
        at += used;
    }
    return at;
}

const Protocol nats_protocol = {
    .name = "nats",
    .greets = true,
    .subscribes = true,
    .log_in = log_in,
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .leave = leave,
    .answer = answer,
    .redelivered = redelivered,
    .encode = encode,
    .scan = scan,
};

const Protocol jetstream_protocol = {
    .name = "jetstream",
    .greets = true,
    .stores = true,
    .subscribes = true,
    .log_in = log_in,
    .subscribe = jetstream_subscribe,
    .unsubscribe = unsubscribe,
    .leave = leave,
    .answer = answer,
    .redelivered = jetstream_redelivered,
    .encode = encode,
    .scan = scan,
};
