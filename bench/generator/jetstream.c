/* What JetStream has beyond NATS: streams, which keep what is sent to their subject; its word that a message is kept; consumers
 * that are to acknowledge. All of it is messages to subjects of the server's own, and answers to the subject named in them.
 *
 *     -> SUB _R.bench.0000000.* answers\r\n                       whatever this connection is answered
 *     -> PUB $JS.API.STREAM.CREATE.bench _R.bench.0000000.api 99\r\n JSON \r\n
 *     -> PUB $JS.API.CONSUMER.CREATE.bench.c0 _S.bench.0000000.api 99\r\n JSON \r\n
 *     <- MSG _R.bench.0000000.api answers 99\r\n JSON \r\n
 *
 *     -> PUB bench _R.bench.0000000.RECEIPT 100\r\n BODY \r\n
 *     <- MSG _R.bench.0000000.RECEIPT answers 30\r\n JSON \r\n      it is kept
 *
 *     <- MSG bench 0 $JS.ACK.bench.c0.1.1.1.1.0 100\r\n BODY \r\n   the fifth word: how often it was delivered
 *     -> PUB $JS.ACK.bench.c0.1.1.1.1.0 0\r\n\r\n                  it is acknowledged
 *
 * A stream is one destination. One that stands for a queue gives each message away once.
 */
#include "jetstream.h"

#include "failure.h"
#include "names.h"
#include "receipts.h"
#include "session.h"

#define API ".api"
#define DEFAULT_CREDIT 1000
#define WORDS_BEFORE_COUNT 4

/* Publishers and subscribers are each numbered from 0. */
static void add_inbox(const Engine *engine, const Connection *c, Buffer *out) {
    buffer_text(out, c->role == SUBSCRIBER ? "_S." : "_R.");
    buffer_text(out, engine->load.name);
    buffer_format(out, ".%0*u", NUMBER_DIGITS, c->number);
}

/* Where a consumer's messages are sent to. */
static void add_deliveries(const Engine *engine, const Connection *c, Buffer *out) {
    buffer_text(out, "_D.");
    buffer_text(out, engine->load.name);
    buffer_format(out, ".%u", c->number);
}

/* The name of a stream has no dots. */
static void add_stream(const char *subject, size_t length, Buffer *out) {
    size_t from = out->end;
    buffer_append(out, subject, length);
    for (size_t i = from; i < out->end; i++)
        out->bytes[i] = out->bytes[i] == '.' ? '_' : out->bytes[i];
}

static void request(Engine *engine, Connection *c, const Buffer *subject, const Buffer *body) {
    buffer_text(&c->control, "PUB ");
    buffer_append(&c->control, buffer_front(subject), buffer_length(subject));
    buffer_text(&c->control, " ");
    add_inbox(engine, c, &c->control);
    buffer_format(&c->control, API " %zu\r\n", buffer_length(body));
    buffer_append(&c->control, buffer_front(body), buffer_length(body));
    buffer_text(&c->control, "\r\n");
}

/* ---- streams ---- */

/* To make one that is there already, exactly as it is, does no harm: so each connection asks for all. */
static void make_stream(Engine *engine, Connection *c, const Buffer *name) {
    const Load *load = &engine->load;
    Buffer subject = {0}, body = {0};
    buffer_text(&subject, "$JS.API.STREAM.CREATE.");
    add_stream(name->bytes, name->end, &subject);
    buffer_text(&body, "{\"name\":\"");
    add_stream(name->bytes, name->end, &body);
    buffer_text(&body, "\",\"subjects\":[\"");
    buffer_append(&body, name->bytes, name->end);
    buffer_format(&body, "\"],\"retention\":\"%s\"", load->queue ? "workqueue" : "interest");
    buffer_format(&body, ",\"storage\":\"%s\"}", load->persistent ? "file" : "memory");
    request(engine, c, &subject, &body);
    buffer_free(&subject);
    buffer_free(&body);
    c->requests++;
}

bool jetstream_open(Engine *engine, Connection *c) {
    uint32_t count = engine->geometry.streams ? engine->geometry.destinations : 0;
    if (!count)
        return false;
    c->requests = 0;
    buffer_text(&c->control, "SUB ");
    add_inbox(engine, c, &c->control);
    buffer_text(&c->control, ".* answers\r\n");
    for (uint32_t i = 0; i < count; i++) {
        buffer_clear(&engine->name);
        name_destination(engine, engine->load.queue, i, count, &engine->name);
        make_stream(engine, c, &engine->name);
    }
    return true;
}

/* ---- consumers ---- */

static void describe_consumer(const Engine *engine, const Connection *c, const Buffer *name, Buffer *body) {
    const Load *load = &engine->load;
    buffer_text(body, "{\"stream_name\":\"");
    add_stream(name->bytes, name->end, body);
    buffer_format(body, "\",\"config\":{\"durable_name\":\"c%u\"", c->number);
    buffer_format(body, ",\"ack_policy\":\"%s\"", c->acknowledges ? "explicit" : "none");
    if (c->acknowledges)
        buffer_format(body, ",\"max_ack_pending\":%lld", (long long)(load->credit ? load->credit : DEFAULT_CREDIT));
    buffer_text(body, ",\"deliver_subject\":\"");
    add_deliveries(engine, c, body);
    buffer_text(body, "\"}}");
}

void jetstream_subscribe(Engine *engine, Connection *c, const Buffer *destination) {
    Buffer subject = {0}, body = {0};
    c->acknowledges = engine->ack != ACK_AUTO;
    buffer_text(&c->control, "SUB ");
    add_deliveries(engine, c, &c->control);
    buffer_text(&c->control, " 0\r\n");
    buffer_text(&subject, "$JS.API.CONSUMER.CREATE.");
    add_stream(destination->bytes, destination->end, &subject);
    buffer_format(&subject, ".c%u", c->number);
    describe_consumer(engine, c, destination, &body);
    request(engine, c, &subject, &body);
    buffer_free(&subject);
    buffer_free(&body);
    c->asked++;
}

/* ---- receipts ---- */

void jetstream_ask_receipt(Engine *engine, Buffer *sending) {
    static const char placeholder[] = "aaaaaaaaaaaaaaaaaaaaaaaa";
    if (!engine->load.receipts)
        return;
    buffer_text(sending, " _R.");
    buffer_text(sending, engine->load.name);
    buffer_text(sending, ".");
    engine->frames.sender = sending->end;
    buffer_format(sending, "%0*u.", NUMBER_DIGITS, 0u);
    engine->frames.receipt = sending->end;
    buffer_append(sending, placeholder, RECEIPT_SIZE);
}

static void api_answered(Engine *engine, Connection *c) {
    if (c->state != LOGGING_IN)
        confirmed(engine, c);
    else if (--c->requests == 0)
        logged_in(engine, c);
}

/* The subject ends in what it answers. */
bool jetstream_answered(Engine *engine, Connection *c, const char *line, size_t line_length, size_t length) {
    static const char failed[] = "\"error\":";
    const char *subject = line + 4, *end = memchr(subject, ' ', line_length - 4);
    size_t size = end ? (size_t)(end - subject) : 0;
    bool is_api = size > sizeof API && !memcmp(end - (sizeof API - 1), API, sizeof API - 1);
    if (*subject != '_' || !(is_api || size > RECEIPT_SIZE))
        return false;
    if (memmem(line + line_length, length - line_length, failed, sizeof failed - 1))
        refuse(engine, c, "refused", line + line_length, length - line_length);
    else if (is_api)
        api_answered(engine, c);
    else
        receipt_came(engine, c, end - RECEIPT_SIZE, RECEIPT_SIZE);
    return true;
}

/* ---- acknowledging ---- */

/* The fourth word of the line, if it has five. */
static const char *answer_to(const char *line, const char *end, size_t *length) {
    const char *at = line, *next = NULL;
    for (int word = 0; word < 3; word++) {
        at = memchr(at, ' ', (size_t)(end - at));
        if (at++ == NULL)
            return NULL;
    }
    next = memchr(at, ' ', (size_t)(end - at));
    *length = next ? (size_t)(next - at) : 0;
    return next ? at : NULL;
}

void jetstream_acknowledge(Engine *engine, Connection *c, const char *line, const char *end) {
    size_t length;
    const char *subject = answer_to(line, end, &length);
    if (subject == NULL) {
        refuse(engine, c, "sent a message that cannot be acknowledged to", line, (size_t)(end - line));
        return;
    }
    buffer_text(&c->control, "PUB ");
    buffer_append(&c->control, subject, length);
    buffer_text(&c->control, " 0\r\n\r\n");
}

bool jetstream_redelivered(const Message *message) {
    size_t length;
    const char *at = answer_to(message->frame, message->end, &length), *end = at + length;
    for (int words = 0; at && words < WORDS_BEFORE_COUNT; words++) {
        at = memchr(at, '.', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return at && (*at != '1' || at[1] != '.');
}
