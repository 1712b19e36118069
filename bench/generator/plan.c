/* Connections and streams, as a kind of load asks for them. */
#include "plan.h"

#include <sys/resource.h>

#include "failure.h"

/* What else the process may have open. */
#define OTHER_DESCRIPTORS 64

static bool raise_descriptor_limit(Engine *engine, uint64_t connections) {
    struct rlimit limit;
    uint64_t needed = connections + OTHER_DESCRIPTORS;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= needed)
        return true;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
        return true;
    return fail(engine, "%llu connections need %llu open files, and the limit (ulimit -Hn) is %llu",
                (unsigned long long)connections, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
}

bool plan_connections(Engine *engine, Role role, int64_t count) {
    if (!raise_descriptor_limit(engine, engine->count + (uint64_t)count))
        return false;
    Connection *connections = realloc(engine->connections, (engine->count + (size_t)count) * sizeof *connections);
    if (connections == NULL && engine->count + count > 0)
        return fail_memory(engine);
    engine->connections = connections;
    for (uint32_t i = 0; i < count; i++)
        connections[engine->count++] = (Connection){.fd = -1, .role = (uint8_t)role, .number = i};
    engine->openable = engine->count;
    return true;
}

bool plan_streams(Engine *engine, int64_t publishers, int64_t destinations, int64_t subscribers) {
    int64_t streams = publishers > destinations ? publishers : destinations;
    if (streams > MOST_STREAMS)
        return fail(engine, "more than %lld streams of messages cannot be told apart", (long long)MOST_STREAMS);
    engine->geometry = (Geometry){
        .publishers = (uint32_t)publishers,
        .destinations = (uint32_t)destinations,
        .subscribers = (uint32_t)subscribers,
        .streams = (uint32_t)streams,
        .per_destination = (uint32_t)((streams + destinations - 1) / destinations),
    };
    return true;
}

bool plan_one_queue(Engine *engine) {
    return plan_streams(engine, 1, 1, 1) && plan_connections(engine, PUBLISHER, 1)
           && plan_connections(engine, SUBSCRIBER, 1);
}
