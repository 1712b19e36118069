/* What a load needs before anything happens: it is looked up by its names, and asked whether it makes sense. */
#include "prepare.h"

#include <errno.h>

#include "check.h"
#include "compose.h"
#include "dial.h"
#include "failure.h"
#include "plan.h"
#include "poller.h"

#define MOST_CONNECTIONS 1000000
#define MOST_MESSAGES (1 << 26) /* whose order need not be known */
#define LONGEST_DELAY 9000 /* seconds; in ms it has DELAY_DIGITS */

/* ---- by name ---- */

static const Protocol *protocol_named(const char *name) {
    static const Protocol *const known[] = {&stomp_protocol, &nats_protocol, &jetstream_protocol,
                                            &relay_protocol};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i]->name, name))
            return known[i];
    return NULL;
}

static const Kind *kind_named(const char *name) {
    static const Kind *const known[] = {&flow_kind,  &ping_kind,  &request_kind, &connect_kind,
                                        &storm_kind, &churn_kind, &idle_kind,
                                        &replay_kind, &schedule_kind, &drain_kind};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i]->name, name))
            return known[i];
    return NULL;
}

static bool find_carrier(Engine *engine) {
    const char *scheme = engine->load.scheme;
    engine->carrier = engine->load.secure ? &tls_carrier : &plain_carrier;
    engine->is_local = !strcmp(scheme, "unix");
    engine->websocket = !strcmp(scheme, "ws") || !strcmp(scheme, "wss");
    if (strcmp(scheme, "tcp") && engine->protocol != &stomp_protocol)
        return fail(engine, "%s is spoken over tcp alone, not over %s", engine->protocol->name, scheme);
    return true;
}

static bool find_ack(Engine *engine) {
    static const char *const names[] = {
        [ACK_AUTO] = "auto", [ACK_CLIENT] = "client", [ACK_CLIENT_INDIVIDUAL] = "client-individual"};
    for (int ack = ACK_AUTO; ack <= ACK_CLIENT_INDIVIDUAL; ack++)
        if (!strcmp(names[ack], engine->load.ack)) {
            engine->ack = (Ack)ack;
            return true;
        }
    return fail(engine, "no ack mode is called %s", engine->load.ack);
}

static bool find_by_name(Engine *engine) {
    engine->protocol = protocol_named(engine->load.protocol);
    engine->kind = kind_named(engine->load.kind);
    if (engine->protocol == NULL)
        return fail(engine, "no protocol is called %s", engine->load.protocol);
    if (engine->kind == NULL)
        return fail(engine, "no kind of load is called %s", engine->load.kind);
    return find_carrier(engine) && find_ack(engine);
}

/* ---- whether it makes sense ---- */

static bool check_range(Engine *engine, const char *what, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most)
        return true;
    return fail(engine, "%s: %lld is not between %lld and %lld", what, (long long)value, (long long)least, (long long)most);
}

static bool check_ranges(Engine *engine) {
    const Load *load = &engine->load;
    int least = load->verify ? STAMP_SIZE + HASH_SIZE : STAMP_SIZE;
    return check_range(engine, "port", load->port, !engine->is_local, 65535) &&
           check_range(engine, "size", load->size, least, 64 << 20) &&
           check_range(engine, "publishers", load->publishers, 1, MOST_STREAMS) &&
           check_range(engine, "subscribers", load->subscribers, 0, MOST_CONNECTIONS) &&
           check_range(engine, "destinations", load->destinations, 1, MOST_STREAMS) &&
           check_range(engine, "connections", load->connections, 1, MOST_CONNECTIONS) &&
           check_range(engine, "bystanders", load->bystanders, 0, 10 * 1000 * 1000 - 1) &&
           check_range(engine, "slow", load->slow, 0, MOST_CONNECTIONS) &&
           check_range(engine, "transaction", load->transaction, 0, 1 << 20) &&
           check_range(engine, "receipts", load->receipts, UNBOUNDED, INT32_MAX) &&
           check_range(engine, "window", load->window, 0, INT32_MAX) &&
           check_range(engine, "credit", load->credit, 0, INT32_MAX) &&
           check_range(engine, "backlog", load->backlog, 0, INT32_MAX) &&
           check_range(engine, "priorities", load->priorities, 0, 10) &&
           check_range(engine, "groups", load->groups, 0, MOST_STREAMS) &&
           check_range(engine, "messages", load->messages, 1, MOST_MESSAGES);
}

static bool check_times(Engine *engine) {
    const Load *load = &engine->load;
    const double times[] = {load->warm_up, load->seconds, load->patience}, rates[] = {load->rate, load->ramp};
    for (int i = 0; i < 3; i++)
        if (!(times[i] >= 0 && times[i] <= 86400))
            return fail(engine, "%g is not a number of seconds", times[i]);
    if (!(load->delay >= 0 && load->delay <= LONGEST_DELAY))
        return fail(engine, "a delay of %g seconds is not between 0 and %d", load->delay, LONGEST_DELAY);
    for (int i = 0; i < 2; i++)
        if (!(rates[i] >= 0 && rates[i] <= 1e9))
            return fail(engine, "%g is not a rate", rates[i]);
    return true;
}

/* Only STOMP has all that a load can ask for. */
static bool check_protocol(Engine *engine) {
    const Load *load = &engine->load;
    const char *name = engine->protocol->name;
    bool can_everything = engine->protocol->is_stomp, is_relay = engine->protocol == &relay_protocol;
    bool stores = engine->protocol->stores;
    if (load->queue && !stores)
        return fail(engine, "%s has no queues", name);
    if (load->transaction && (!can_everything || is_relay))
        return fail(engine, "%s has no transactions", name);
    if (load->receipts && (!stores || is_relay))
        return fail(engine, "%s has no receipts", name);
    if (engine->ack != ACK_AUTO && !stores)
        return fail(engine, "%s has no acknowledgements", name);
    if (is_relay && (engine->kind == &request_kind || engine->kind == &churn_kind))
        return fail(engine, "%s has no subscriptions", name);
    if (engine->kind == &drain_kind && (is_relay || !stores || !load->queue || !load->receipts))
        return fail(engine, "only a queue can be drained, of a server that has receipts, and they must be asked for");
    if (load->durable && (is_relay || !stores || load->queue))
        return fail(engine, "durable subscriptions are for topics, of a server that stores messages");
    if (load->backlog && engine->protocol == &jetstream_protocol)
        return fail(engine, "%s has no backlog here: drain is for that", name);
    bool is_special = varieties(load) || engine->kind == &replay_kind || engine->kind == &schedule_kind;
    if (is_special && engine->protocol != &stomp_protocol)
        return fail(engine, "%s has no priorities, groups, selectors, histories or schedules", name);
    return true;
}

static bool check_varieties(Engine *engine) {
    const Load *load = &engine->load;
    if ((load->priorities > 0) + (load->groups > 0) + load->selecting > 1)
        return fail(engine, "priorities, groups and selectors cannot be had at the same time");
    if (load->destinations > 1 || *load->pattern || load->bystanders || load->slow)
        return fail(engine, "priorities, groups and selectors are for one destination, and for nobody who is slow");
    if (load->selecting && !load->subscribers)
        return fail(engine, "there is nobody to select anything");
    return true;
}

static bool check_flow(Engine *engine) {
    const Load *load = &engine->load;
    if (load->queue && (load->slow || *load->pattern || load->bystanders))
        return fail(engine, "slow subscribers, patterns and bystanders are for topics: this load is for queues");
    if (load->backlog && !load->queue)
        return fail(engine, "a backlog is for queues: this load is for topics");
    if (engine->protocol == &relay_protocol && (load->destinations > 1 || load->backlog || load->bystanders))
        return fail(engine, "relay has one destination, and keeps nothing");
    if (engine->protocol == &relay_protocol && load->queue && load->subscribers > 1)
        return fail(engine, "relay does not share messages out: everybody gets all");
    return !(varieties(load) || load->selecting) || check_varieties(engine);
}

/* ---- what it needs ---- */

static bool make_histograms(Engine *engine) {
    Histogram *all[] = {&engine->latency, &engine->receipt, &engine->connect, &engine->send_delay};
    for (int i = 0; i < 4; i++)
        if (histogram_init(all[i]) < 0)
            return fail_memory(engine);
    return true;
}

static bool plan_messages(Engine *engine) {
    engine->publishers = engine->connections;
    return engine->geometry.streams == 0 || (frames_make(engine) && check_prepare(engine));
}

bool engine_prepare(Engine *engine) {
    bool sound = find_by_name(engine) && check_ranges(engine) && check_times(engine) && check_protocol(engine);
    if (!sound || !check_flow(engine) || !engine->kind->plan(engine) || !plan_messages(engine))
        return false;
    if (!make_histograms(engine) || !resolve(engine))
        return false;
    engine->poller = poller_open();
    return engine->poller >= 0 || fail(engine, "cannot wait for sockets: %s", strerror(errno));
}
