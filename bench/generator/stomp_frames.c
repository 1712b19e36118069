/* STOMP 1.2 as its clients write it.
 *
 *     CONNECT\n accept-version:1.2\n ... \n NUL
 *     SEND\n destination:/topic/bench\n [priority:5\n] [content-length:100\n] [receipt:...\n] \n BODY NUL
 */
#include "stomp_frames.h"

#include "names.h"

/* Of keys and groups: it has no zero in front, which some would take for a number to another base. */
#define FIRST_NUMBER 1000000

static void add_escaped(Buffer *out, const char *text, size_t length) {
    static const char *const escapes[256] = {[':'] = "\\c", ['\\'] = "\\\\", ['\n'] = "\\n", ['\r'] = "\\r"};
    for (size_t i = 0; i < length; i++)
        if (escapes[(unsigned char)text[i]])
            buffer_text(out, escapes[(unsigned char)text[i]]);
        else
            buffer_append(out, text + i, 1);
}

static void add_header(Buffer *out, const char *name, const Buffer *value) {
    buffer_text(out, name);
    buffer_text(out, ":");
    add_escaped(out, buffer_front(value), buffer_length(value));
    buffer_text(out, "\n");
}

/* As it stands: CONNECT knows no escapes, and numbers and what came from the server need none. */
static void add_plain(Buffer *out, const char *name, const char *value) {
    buffer_text(out, name);
    buffer_text(out, ":");
    buffer_text(out, value);
    buffer_text(out, "\n");
}

/* A whole line that the target has given, if it has. */
static void add_line(Buffer *out, const char *line) {
    buffer_text(out, line);
    buffer_text(out, *line ? "\n" : "");
}

static void add_number(Buffer *out, const char *name, uint32_t number) {
    buffer_text(out, name);
    buffer_format(out, ":%07u\n", number);
}

static void end_frame(Buffer *out) {
    buffer_append(out, "\n", 2);
}

/* Of a durable subscription: no other connection of any run has it. */
static void add_durable_name(const Engine *engine, Connection *c) {
    buffer_text(&c->control, engine->load.name);
    buffer_format(&c->control, "-%u", c->number);
}

static void add_durable(const Engine *engine, Connection *c) {
    static const char field[] = "{name}";
    const char *line = engine->load.durable_lines;
    for (const char *found; (found = strstr(line, field)); line = found + sizeof field - 1) {
        buffer_append(&c->control, line, (size_t)(found - line));
        add_durable_name(engine, c);
    }
    buffer_text(&c->control, line);
    buffer_text(&c->control, *line || line > engine->load.durable_lines ? "\n" : "");
}

void stomp_log_in(Engine *engine, Connection *c) {
    const Load *load = &engine->load;
    buffer_text(&c->control, "CONNECT\naccept-version:1.2\nheart-beat:0,0\n");
    add_plain(&c->control, "host", *load->virtual_host ? load->virtual_host : load->host);
    if (load->durable && c->role == SUBSCRIBER) {
        buffer_text(&c->control, "client-id:");
        add_durable_name(engine, c);
        buffer_text(&c->control, "\n");
    }
    if (*load->login || *load->passcode) {
        add_plain(&c->control, "login", load->login);
        add_plain(&c->control, "passcode", load->passcode);
    }
    end_frame(&c->control);
}

static void add_acks(Engine *engine, Connection *c) {
    const Load *load = &engine->load;
    bool consumes = c->role == SUBSCRIBER || c->role == RESPONDER || c->role == ASKER || c->role == CLIENT;
    c->acknowledges = consumes && engine->ack != ACK_AUTO;
    if (!c->acknowledges)
        return;
    add_plain(&c->control, "ack", load->ack);
    add_line(&c->control, load->credit_line);
}

/* What a subscriber wants of what is sent there. */
static void add_wishes(Engine *engine, Connection *c) {
    const Load *load = &engine->load;
    if (c->role != SUBSCRIBER)
        return;
    add_line(&c->control, load->priority_line);
    add_line(&c->control, load->replay_line);
    add_line(&c->control, load->queue_line);
    if (load->durable)
        add_durable(engine, c);
    if (!load->selecting)
        return;
    buffer_text(&c->control, "selector:");
    add_escaped(&c->control, load->selector_prefix, strlen(load->selector_prefix));
    buffer_format(&c->control, "key = %u\n", FIRST_NUMBER + c->number);
}

/* Ends a SUBSCRIBE or UNSUBSCRIBE so that the server says when it is done. One that gives no receipts for them does for a
 * SEND behind it. */
static void ask(Engine *engine, Connection *c) {
    if (!engine->load.subscribe_receipts) {
        end_frame(&c->control);
        buffer_clear(&engine->name);
        name_append(engine, false, ".confirm", &engine->name);
        buffer_text(&c->control, "SEND\n");
        add_header(&c->control, "destination", &engine->name);
    }
    add_number(&c->control, "receipt", c->asked++);
    end_frame(&c->control);
}

void stomp_subscribe(Engine *engine, Connection *c, const Buffer *destination) {
    buffer_text(&c->control, "SUBSCRIBE\n");
    add_number(&c->control, "id", c->asked);
    add_header(&c->control, "destination", destination);
    add_acks(engine, c);
    add_wishes(engine, c);
    ask(engine, c);
}

void stomp_unsubscribe(Engine *engine, Connection *c) {
    buffer_text(&c->control, "UNSUBSCRIBE\n");
    add_number(&c->control, "id", c->asked - 1);
    ask(engine, c);
}

void stomp_leave(Engine *engine, Connection *c) {
    buffer_text(&c->control, "DISCONNECT\n");
    add_number(&c->control, "receipt", c->asked++);
    end_frame(&c->control);
}

/* ---- what is sent in bulk ---- */

static void add_receipt(Engine *engine, Buffer *out) {
    static const char placeholder[] = "aaaaaaaaaaaaaaaaaaaaaaaa";
    if (!engine->load.receipts)
        return;
    buffer_text(out, "receipt:");
    engine->frames.receipt = out->end;
    buffer_append(out, placeholder, RECEIPT_SIZE);
    buffer_text(out, "\n");
}

/* The number of the destination is the end of the name that was added last. */
static void note_digits(Frames *frames, const Buffer *out) {
    frames->digits = frames->numbered ? out->end - 1 - NUMBER_DIGITS : 0;
    frames->digit_count = NUMBER_DIGITS;
}

/* One header tells the varieties apart. */
static void add_variety(Engine *engine, Buffer *out) {
    const Load *load = &engine->load;
    Frames *frames = &engine->frames;
    if (!engine->geometry.varied)
        return;
    frames->digit_count = load->priorities ? 1 : NUMBER_DIGITS;
    frames->first_number = load->priorities ? 0 : FIRST_NUMBER;
    add_line(out, load->priority_line);
    buffer_text(out, load->priorities ? "priority:" : load->groups ? "JMSXGroupID:" : "key:");
    frames->digits = out->end;
    buffer_format(out, "%u\n", frames->first_number);
}

static void add_delay(Engine *engine, Buffer *out) {
    if (!engine->frames.scheduled)
        return;
    buffer_text(out, "AMQ_SCHEDULED_DELAY:");
    engine->frames.delay = out->end;
    buffer_format(out, "%0*u\n", DELAY_DIGITS, 0u);
}

static void add_body(Engine *engine, Buffer *out) {
    char *room;
    size_t size = (size_t)engine->load.size;
    buffer_text(out, "\n");
    engine->frames.body = out->end;
    if ((room = buffer_room(out, size + 1)) == NULL)
        return;
    memset(room, 'x', size);
    room[size] = '\0';
    out->end += size + 1;
}

static void encode_transaction(Engine *engine, Buffer *opening, Buffer *closing) {
    buffer_text(opening, "BEGIN\ntransaction:bench\n");
    end_frame(opening);
    buffer_text(closing, "COMMIT\ntransaction:bench\n");
    add_receipt(engine, closing);
    end_frame(closing);
}

void stomp_encode(Engine *engine, Buffer *opening, Buffer *sending, Buffer *closing) {
    Frames *frames = &engine->frames;
    buffer_text(sending, "SEND\n");
    add_header(sending, "destination", &frames->destination);
    note_digits(frames, sending);
    if (frames->reply_to.end) {
        add_header(sending, "reply-to", &frames->reply_to);
        note_digits(frames, sending);
    }
    add_variety(engine, sending);
    add_line(sending, engine->load.queue_line);
    add_delay(engine, sending);
    if (engine->load.content_length)
        buffer_format(sending, "content-length:%lld\n", (long long)engine->load.size);
    if (engine->load.persistent)
        buffer_text(sending, "persistent:true\n");
    if (engine->load.transaction) {
        buffer_text(sending, "transaction:bench\n");
        encode_transaction(engine, opening, closing);
    } else {
        add_receipt(engine, sending);
    }
    add_body(engine, sending);
}
