/* Names of destinations: the prefix of topics or queues, the name of the load, and what tells them apart. */
#include "names.h"

static void append_prefix(const Engine *engine, bool queue, Buffer *out) {
    if (engine->protocol->is_stomp)
        buffer_text(out, queue ? engine->load.queue_prefix : engine->load.topic_prefix);
}

void name_append(const Engine *engine, bool queue, const char *suffix, Buffer *out) {
    append_prefix(engine, queue, out);
    buffer_text(out, engine->load.name);
    buffer_text(out, suffix);
}

/* Seven digits, so that all are equally long and frames differ in nothing else. */
void name_numbered(const Engine *engine, bool queue, const char *suffix, uint32_t number, Buffer *out) {
    name_append(engine, queue, suffix, out);
    buffer_format(out, ".%0*u", NUMBER_DIGITS, number);
}

void name_destination(const Engine *engine, bool queue, uint32_t number, uint32_t count, Buffer *out) {
    if (count > 1)
        name_numbered(engine, queue, "", number, out);
    else
        name_append(engine, queue, "", out);
}

/* A pattern of topics, with {name} in it replaced by the name. */
void name_pattern(const Engine *engine, const char *pattern, Buffer *out) {
    static const char field[] = "{name}";
    append_prefix(engine, false, out);
    for (const char *found; (found = strstr(pattern, field)); pattern = found + sizeof field - 1) {
        buffer_append(out, pattern, (size_t)(found - pattern));
        buffer_text(out, engine->load.name);
    }
    buffer_text(out, pattern);
}
