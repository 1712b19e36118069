#include "options.h"

#include <limits.h>

typedef enum { TEXT, COUNT, SECONDS, FLAG } kind;

typedef struct {
    const char *name;
    kind kind;
    void *target;
    const char *meaning;
} setting;

static const char *protocol_name = "stomp";

static options given = {
    .workload = "topic",
    .host = "127.0.0.1",
    .destination = "bench",
    .ack = "auto",
    .prefetch = 1000,
    .publishers = 1,
    .subscribers = 1,
    .connections = 1000,
    .size = 100,
    .batch = 131072,
    .warm_up = 0.5,
    .seconds = 3,
    .patience = 5,
};

static const setting settings[] = {
    {"--protocol", TEXT, &protocol_name, "stomp, nats or relay (stomp)"},
    {"--workload", TEXT, &given.workload, "topic, queue, ping or idle (topic)"},
    {"--host", TEXT, &given.host, "of the server (127.0.0.1)"},
    {"--port", TEXT, &given.port, "of the server; has to be given"},
    {"--destination", TEXT, &given.destination, "the name without /topic/ or /queue/ (bench)"},
    {"--publishers", COUNT, &given.publishers, "connections that send (1)"},
    {"--subscribers", COUNT, &given.subscribers, "connections that receive (1)"},
    {"--connections", COUNT, &given.connections, "of the idle workload (1000)"},
    {"--size", COUNT, &given.size, "bytes of a body (100)"},
    {"--content-length", FLAG, &given.content_length, "send that header"},
    {"--ack", TEXT, &given.ack, "auto or client-individual (auto)"},
    {"--prefetch", COUNT, &given.prefetch, "credit when messages are acknowledged (1000)"},
    {"--window", COUNT, &given.window, "most messages under way; 0 is no bound of ours (0)"},
    {"--batch", COUNT, &given.batch, "bytes of frames handed to one write (131072)"},
    {"--warm-up", SECONDS, &given.warm_up, "before anything is measured (0.5)"},
    {"--seconds", SECONDS, &given.seconds, "measured (3)"},
    {"--patience", SECONDS, &given.patience, "without progress until messages count as lost (5)"},
    {"--server-pid", COUNT, &given.server_pid, "whose processor time is reported"},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

__attribute__((noreturn)) static void die_with_usage(void)
{
    fputs("usage: loadgen --port PORT [options]\n", stderr);
    for (size_t i = 0; i < SETTINGS; i++)
        fprintf(stderr, "  %-17s %s\n", settings[i].name, settings[i].meaning);
    die("Prints one line of JSON. Exit status: 0 every message came once, 1 some did not,\n"
        "2 nothing could be measured.");
}

static double must_seconds(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value <= 86400))
        die("%s: expected a number of seconds", text);
    return value;
}

static const setting *must_setting(const char *name)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    die_with_usage();
}

/* Sets what the first argument names; returns how many arguments that took. */
static int set(char **arguments)
{
    const setting *s = must_setting(arguments[0]);
    const char *value = arguments[1];
    if (s->kind == FLAG) {
        *(bool *)s->target = true;
        return 1;
    }
    if (!value)
        die_with_usage();
    if (s->kind == TEXT)
        *(const char **)s->target = value;
    else if (s->kind == COUNT)
        *(int *)s->target = (int)must_number(value, 0, INT_MAX);
    else
        *(double *)s->target = must_seconds(value);
    return 2;
}

static const protocol *must_protocol(const char *name)
{
    static const protocol *const known[] = {&stomp_protocol, &nats_protocol, &relay_protocol};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i]->name, name))
            return known[i];
    die("%s: expected stomp, nats or relay", name);
}

static void check(void)
{
    if (!given.port)
        die_with_usage();
    if (strcmp(given.ack, "auto") && strcmp(given.ack, "client-individual"))
        die("%s: expected auto or client-individual", given.ack);
    if (!given.publishers || !given.subscribers || !given.connections)
        die("at least one publisher, subscriber, connection");
}

options options_read(char **argv)
{
    for (char **arguments = argv + 1; *arguments; arguments += set(arguments))
        continue;
    check();
    given.protocol = must_protocol(protocol_name);
    return given;
}
