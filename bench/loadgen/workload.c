#include "workload.h"

#include <unistd.h>

char *destination_of(const options *o, bool queue)
{
    const char *prefix = queue ? o->protocol->queue_prefix : o->protocol->topic_prefix;
    char *destination;
    if (!prefix)
        die("%s has no queues", o->protocol->name);
    if (asprintf(&destination, "%s%s", prefix, o->destination) < 0)
        die("out of memory");
    return destination;
}

void encode_frame(buffer *out, const options *o, const char *destination)
{
    buffer body = {.data = must_alloc(malloc((size_t)o->size + 1)), .length = (size_t)o->size};
    memset(body.data, 'x', body.length);
    o->protocol->encode(out, destination, &body, o->content_length);
    free(body.data);
}

void start_connection(connection *c, const options *o, role r, const subscription *s)
{
    connection_open(c, o->protocol, o->host, o->port, o->patience);
    o->protocol->start(c, r, s);
}

static const char FROM_THIRD_FIELD[] = ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu";

/* proc(5): user and system time are fields 14 and 15; the 2nd, in brackets, may have blanks. */
double cpu_seconds_of(int pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    if (!pid)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        die("%s: %s", path, strerror(errno));
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    if (!fields || sscanf(fields, FROM_THIRD_FIELD, &user, &system) != 2)
        die("%s: not understood", path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double cpu_seconds_of_generator(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
