/* The raw relay of ../relay.c: one byte says who we are, then the bytes are what they are.
 *
 * What is sent are the same SEND frames that a STOMP broker is given, so that both move the same
 * bytes. The relay mixes the bytes of several publishers wherever its reads end, so frames
 * cannot be told apart on arrival: what counts is how many frames' worth of bytes came.
 */
#include "protocol.h"

static void start(connection *c, role r, const subscription *s)
{
    (void)s;
    buffer request = {0};
    buffer_append(&request, &"PSE"[r], 1);
    connection_request(c, &request, "+", '+');
    free(request.data);
}

static size_t scan(connection *c, const char *data, size_t length)
{
    (void)data;
    c->received += length / c->expected_length;
    return length - length % c->expected_length;
}

const protocol relay_protocol = {
    .name = "relay",
    .topic_prefix = "/topic/",
    .queue_prefix = "/queue/",
    .start = start,
    .encode = stomp_encode,
    .scan = scan,
};
