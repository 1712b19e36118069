/* A flood: publishers send as fast as the server takes it, subscribers count what they are given.
 *
 *     WARMING_UP --> MEASURING --> ENDING --> SETTLING --> report
 *                                  no new     everything came: a moment more,
 *                                  frames     in case something comes twice
 *
 * Reading and writing take turns in one loop, one system call a time, so neither starves the other
 * and a server that holds publishers back until subscribers read cannot lock us up.
 */
#include <fcntl.h>
#include <sys/epoll.h>

#include "workload.h"

enum { MAX_EVENTS = 256, POLL_MS = 20 };

static const double SETTLE_SECONDS = 0.1;

typedef enum { WARMING_UP, MEASURING, ENDING, SETTLING, OVER } phase;

/* The counters at one moment; the measurement is the difference of two. */
typedef struct {
    uint64_t ns;
    uint64_t sent;
    uint64_t received;
    double server_cpu;
    double generator_cpu;
} reading;

typedef struct {
    const options *options;
    bool queue;
    phase phase;
    uint64_t phase_end;
    int poller;
    connection *publishers;
    connection *subscribers;
    buffer batch;      /* the same frame many times over */
    size_t frame;      /* its length */
    bool held;         /* the window is full */
    uint64_t received; /* by all subscribers */
    reading from, to;
} flooding;

/* A frame that was begun counts: it will be finished, so it is due. */
static uint64_t frames_sent(const flooding *f)
{
    uint64_t frames = 0;
    for (int i = 0; i < f->options->publishers; i++)
        frames += (f->publishers[i].sent_bytes + f->frame - 1) / f->frame;
    return frames;
}

static uint64_t deliveries_due(const flooding *f)
{
    return frames_sent(f) * (f->queue ? 1 : (uint64_t)f->options->subscribers);
}

static reading read_counters(const flooding *f, uint64_t now)
{
    return (reading){
        .ns = now,
        .sent = frames_sent(f),
        .received = f->received,
        .server_cpu = cpu_seconds_of(f->options->server_pid),
        .generator_cpu = cpu_seconds_of_generator(),
    };
}

/* --- connections ---------------------------------------------------------------------------- */

static bool is_publisher(const flooding *f, const connection *c)
{
    return c >= f->publishers && c < f->publishers + f->options->publishers;
}

/* Frames are sent whole, so one that was begun is finished whatever else is to happen. */
static bool inside_frame(const flooding *f, const connection *c)
{
    return c->sent_bytes % f->frame != 0;
}

static bool wants_to_write(const flooding *f, const connection *c)
{
    if (c->output.length || inside_frame(f, c))
        return true;
    return is_publisher(f, c) && f->phase < ENDING && !f->held;
}

static void set_interest(const flooding *f, connection *c)
{
    uint32_t interest = EPOLLIN | (wants_to_write(f, c) ? EPOLLOUT : 0u);
    if (interest == c->interest)
        return;
    int operation = c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    struct epoll_event event = {.events = interest, .data.ptr = c};
    if (epoll_ctl(f->poller, operation, c->fd, &event) < 0)
        die_errno("epoll_ctl");
    c->interest = interest;
}

static void set_interest_of_publishers(const flooding *f)
{
    for (int i = 0; i < f->options->publishers; i++)
        set_interest(f, &f->publishers[i]);
}

static void publish(const flooding *f, connection *c)
{
    size_t begun = c->sent_bytes % f->frame;
    bool only_finish = c->output.length || f->held || f->phase >= ENDING;
    size_t end = only_finish && begun ? f->frame : f->batch.length;
    c->sent_bytes += connection_offer(c, f->batch.data + begun, end - begun);
}

static void write_to(const flooding *f, connection *c)
{
    if (c->output.length && !inside_frame(f, c))
        connection_flush(c);
    else if (wants_to_write(f, c))
        publish(f, c);
}

static void handle(flooding *f, connection *c, uint32_t events)
{
    if (events & ~(uint32_t)EPOLLOUT) {
        f->received += connection_receive(c);
        connection_flush(c);
    }
    if (events & EPOLLOUT)
        write_to(f, c);
    set_interest(f, c);
}

/* --- phases --------------------------------------------------------------------------------- */

/* Publishers are let go only when half the window is free, so they write much at a time. */
static void check_window(flooding *f)
{
    uint64_t window = (uint64_t)f->options->window;
    if (!window)
        return;
    bool held = deliveries_due(f) > f->received + (f->held ? window / 2 : window);
    if (held != f->held) {
        f->held = held;
        set_interest_of_publishers(f);
    }
}

static void enter(flooding *f, phase next, uint64_t now, double seconds)
{
    f->phase = next;
    f->phase_end = now + (uint64_t)(seconds * 1e9);
}

/* While messages still come there is hope for the others. */
static void await_the_rest(flooding *f, uint64_t now, bool progress)
{
    if (f->received >= deliveries_due(f))
        enter(f, SETTLING, now, SETTLE_SECONDS);
    else if (progress)
        f->phase_end = now + (uint64_t)(f->options->patience * 1e9);
    else if (now >= f->phase_end)
        f->phase = OVER;
}

static void end_measuring(flooding *f, uint64_t now)
{
    f->to = read_counters(f, now);
    enter(f, ENDING, now, f->options->patience);
    set_interest_of_publishers(f);
}

static void advance(flooding *f, uint64_t now, bool progress)
{
    if (f->phase == ENDING) {
        await_the_rest(f, now, progress);
    } else if (now >= f->phase_end) {
        if (f->phase == WARMING_UP) {
            f->from = read_counters(f, now);
            enter(f, MEASURING, now, f->options->seconds);
        } else if (f->phase == MEASURING) {
            end_measuring(f, now);
        } else {
            f->phase = OVER;
        }
    }
}

static void turn(flooding *f)
{
    struct epoll_event events[MAX_EVENTS];
    uint64_t before = f->received;
    int ready = epoll_wait(f->poller, events, MAX_EVENTS, POLL_MS);
    if (ready < 0 && errno != EINTR)
        die_errno("epoll_wait");
    for (int i = 0; i < ready; i++)
        handle(f, events[i].data.ptr, events[i].events);
    check_window(f);
    advance(f, now_ns(), f->received > before);
}

/* --- beginning and end ---------------------------------------------------------------------- */

static connection *open_all(const flooding *f, int count, role r, const char *destination)
{
    const options *o = f->options;
    connection *all = must_alloc(calloc((size_t)count, sizeof *all));
    for (int i = 0; i < count; i++) {
        subscription s = {
            .destination = destination, .ack = o->ack, .prefetch = o->prefetch, .id = i};
        start_connection(&all[i], o, r, &s);
        all[i].expected_length = f->frame;
        if (fcntl(all[i].fd, F_SETFL, O_NONBLOCK) < 0)
            die_errno("fcntl");
    }
    return all;
}

static void prepare(flooding *f)
{
    const options *o = f->options;
    char *destination = destination_of(o, f->queue);
    encode_frame(&f->batch, o, destination);
    f->frame = f->batch.length;
    while (f->batch.length < (size_t)o->batch)
        encode_frame(&f->batch, o, destination);
    f->poller = epoll_create1(EPOLL_CLOEXEC);
    f->subscribers = open_all(f, o->subscribers, SUBSCRIBER, destination);
    f->publishers = open_all(f, o->publishers, PUBLISHER, destination);
    free(destination);
    enter(f, WARMING_UP, now_ns(), o->warm_up);
    for (int i = 0; i < o->subscribers; i++)
        set_interest(f, &f->subscribers[i]);
    set_interest_of_publishers(f);
}

static void compare(uint64_t due, uint64_t received, uint64_t *lost, uint64_t *surplus)
{
    *lost += due > received ? due - received : 0;
    *surplus += received > due ? received - due : 0;
}

/* Topics are compared subscriber by subscriber: one's surplus must not hide another's loss. */
static void count_faults(const flooding *f, uint64_t *lost, uint64_t *surplus)
{
    *lost = *surplus = 0;
    if (f->queue)
        compare(frames_sent(f), f->received, lost, surplus);
    else
        for (int i = 0; i < f->options->subscribers; i++)
            compare(frames_sent(f), f->subscribers[i].received, lost, surplus);
}

static void report(const flooding *f, uint64_t lost, uint64_t surplus)
{
    const options *o = f->options;
    double seconds = (double)(f->to.ns - f->from.ns) / 1e9;
    double deliveries = (double)(f->to.received - f->from.received);
    double server_cpu = f->to.server_cpu - f->from.server_cpu;
    printf("{\"workload\":\"%s\",\"protocol\":\"%s\",\"publishers\":%d,\"subscribers\":%d,",
           f->queue ? "queue" : "topic", o->protocol->name, o->publishers, o->subscribers);
    printf("\"ack\":\"%s\",\"size\":%d,\"frame_bytes\":%zu,\"window\":%d,\"seconds\":%.3f,", o->ack,
           o->size, f->frame, o->window, seconds);
    printf("\"sends_per_s\":%.0f,\"deliveries_per_s\":%.0f,",
           (double)(f->to.sent - f->from.sent) / seconds, deliveries / seconds);
    printf("\"server_cpu\":%.3f,\"server_cpu_us_per_delivery\":%.4f,\"generator_cpu\":%.3f,",
           server_cpu / seconds, deliveries ? server_cpu * 1e6 / deliveries : 0,
           (f->to.generator_cpu - f->from.generator_cpu) / seconds);
    printf("\"sent\":%lu,\"due\":%lu,\"received\":%lu,\"lost\":%lu,\"surplus\":%lu}\n",
           (unsigned long)frames_sent(f), (unsigned long)deliveries_due(f),
           (unsigned long)f->received, (unsigned long)lost, (unsigned long)surplus);
}

int flood(const options *o, bool queue)
{
    flooding f = {.options = o, .queue = queue};
    uint64_t lost, surplus;
    prepare(&f);
    while (f.phase != OVER)
        turn(&f);
    count_faults(&f, &lost, &surplus);
    report(&f, lost, surplus);
    return lost || surplus ? EXIT_FAILURE : EXIT_SUCCESS;
}
