/* Ping-pong: one client, one message under way, sent to the client's own subscription.
 * It blocks in the kernel between the two, as an ordinary client does: no busy waiting.
 */
#include "workload.h"

typedef struct {
    uint32_t *ns; /* round trips */
    size_t count;
    size_t capacity;
} samples;

static void keep(samples *s, uint64_t ns)
{
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1 << 16;
        s->ns = must_alloc(realloc(s->ns, s->capacity * sizeof *s->ns));
    }
    s->ns[s->count++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(const samples *s, double q)
{
    return s->ns[(size_t)(q * (double)(s->count - 1))] / 1e3;
}

static uint64_t round_trip(connection *c, const buffer *frame, double patience)
{
    uint64_t start = now_ns();
    connection_send(c, frame->data, frame->length);
    while (!connection_receive(c))
        if (now_ns() - start > (uint64_t)(patience * 1e9))
            die("a message did not come back within %g seconds", patience);
    return now_ns() - start;
}

/* Round trips for so many seconds. */
static void play(connection *c, const buffer *frame, double patience, double seconds, samples *s)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end) {
        keep(s, round_trip(c, frame, patience));
        connection_flush(c);
    }
}

static void report(const options *o, samples *s)
{
    qsort(s->ns, s->count, sizeof *s->ns, by_size);
    printf("{\"workload\":\"ping\",\"protocol\":\"%s\",\"size\":%d,\"round_trips\":%zu,"
           "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
           o->protocol->name, o->size, s->count, quantile_us(s, 0.5), quantile_us(s, 0.9),
           quantile_us(s, 0.99), quantile_us(s, 0.999), quantile_us(s, 1));
}

int ping_pong(const options *o)
{
    connection c;
    buffer frame = {0};
    samples s = {0};
    char *destination = destination_of(o, false);
    start_connection(&c, o, PUBLISHER_AND_SUBSCRIBER,
                     &(subscription){.destination = destination, .ack = "auto"});
    encode_frame(&frame, o, destination);
    c.expected_length = frame.length;
    play(&c, &frame, o->patience, o->warm_up, &s);
    s.count = 0;
    play(&c, &frame, o->patience, o->seconds, &s);
    if (!s.count)
        die("no round trip in %g seconds", o->seconds);
    report(o, &s);
    return EXIT_SUCCESS;
}
