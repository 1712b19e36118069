/* Idle connections: each subscribes to a topic of its own and then nothing happens, until whoever
 * started this has looked at the server's memory and closes our standard input.
 */
#include <unistd.h>

#include "workload.h"

static void start_one(connection *c, const options *o, int id)
{
    char name[256];
    options own = *o;
    snprintf(name, sizeof name, "%s.%d", o->destination, id);
    own.destination = name;
    char *destination = destination_of(&own, false);
    start_connection(c, o, SUBSCRIBER,
                     &(subscription){.destination = destination, .ack = "auto", .id = id});
    free(destination);
}

int idle(const options *o)
{
    char ignored[64];
    connection *connections = must_alloc(calloc((size_t)o->connections, sizeof *connections));
    uint64_t start = now_ns();
    for (int i = 0; i < o->connections; i++)
        start_one(&connections[i], o, i);
    printf("{\"workload\":\"idle\",\"protocol\":\"%s\",\"connections\":%d,\"seconds\":%.3f}\n",
           o->protocol->name, o->connections, (double)(now_ns() - start) / 1e9);
    fflush(stdout);
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0)
        continue;
    return EXIT_SUCCESS;
}
