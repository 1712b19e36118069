/* What went wrong, in words for people. */
#include "failure.h"

#include <ctype.h>

#define SHOWN 300

bool fail(Engine *engine, const char *format, ...) {
    va_list arguments;
    if (failed(engine))
        return false;
    va_start(arguments, format);
    vsnprintf(engine->failure, sizeof engine->failure, format, arguments);
    va_end(arguments);
    return false;
}

bool fail_memory(Engine *engine) {
    return fail(engine, "there is no memory left for the load");
}

static const char *role_name(const Connection *c) {
    static const char *const names[] = {
        [PUBLISHER] = "a publisher",    [SUBSCRIBER] = "a subscriber", [SLOW_SUBSCRIBER] = "a slow subscriber",
        [BYSTANDER] = "the bystander",  [ASKER] = "an asker",          [RESPONDER] = "a responder",
        [CLIENT] = "a client",
    };
    return names[c->role];
}

/* As a terminal may be shown it: lines stay lines, other control characters become dots. */
static void make_printable(const char *from, size_t length, char *to) {
    for (size_t i = 0; i < length; i++)
        to[i] = from[i] == '\n' || isprint((unsigned char)from[i]) ? from[i] : '.';
    while (length && (to[length - 1] == '\n' || to[length - 1] == ' '))
        length--;
    to[length] = '\0';
}

static void describe(char *room, size_t size, const Connection *c, const char *did, const char *said, size_t length) {
    char shown[SHOWN + 1];
    make_printable(said, length < SHOWN ? length : SHOWN, shown);
    snprintf(room, size, "the server %s %s%s%s", did, role_name(c), *shown ? ": " : "", shown);
}

bool refuse(Engine *engine, const Connection *c, const char *did, const char *said, size_t length) {
    if (!failed(engine))
        describe(engine->failure, sizeof engine->failure, c, did, said, length);
    return false;
}

void turn_away(Engine *engine, Connection *c, const char *did, const char *said, size_t length) {
    if (c->turned_away)
        return;
    if (!goes_on(engine)) {
        refuse(engine, c, did, said, length);
        return;
    }
    if (engine->hung_up++ == 0)
        describe(engine->first_turned_away, sizeof engine->first_turned_away, c, did, said, length);
    c->turned_away = true;
}
