#include "connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "protocol.h"

enum { READ_SIZE = 256 * 1024, REPLY_SIZE = 16 * 1024, SHOWN_SIZE = 300 };

static int connect_to(const char *host, const char *port)
{
    struct addrinfo *address, hints = {.ai_socktype = SOCK_STREAM};
    int trouble = getaddrinfo(host, port, &hints, &address);
    if (trouble)
        die("%s:%s: %s", host, port, gai_strerror(trouble));
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        die("connect to %s:%s: %s", host, port, strerror(errno));
    freeaddrinfo(address);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

void connection_open(connection *c, const protocol *p, const char *host, const char *port,
                     double patience)
{
    long long us = (long long)(patience * 1e6);
    struct timeval limit = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
    *c = (connection){.fd = connect_to(host, port), .protocol = p};
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void connection_close(connection *c)
{
    close(c->fd);
    free(c->output.data);
    free(c->rest.data);
}

void connection_refuse(const char *why, const char *data, size_t length)
{
    fprintf(stderr, "%s: \"", why);
    for (size_t i = 0; i < length && i < SHOWN_SIZE; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte == '\n')
            fputs("\\n", stderr);
        else
            fputc(byte < ' ' ? '.' : byte, stderr);
    }
    die("\"");
}

void connection_send(connection *c, const void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t sent = send(c->fd, (const char *)data + done, length - done, MSG_NOSIGNAL);
        if (sent < 0)
            die_errno("send");
        done += (size_t)sent;
    }
}

/* Blocking: everything up to a terminator. LFs in front are what STOMP allows between frames. */
static size_t read_reply(connection *c, char *reply, char terminator)
{
    for (size_t length = 0;;) {
        ssize_t got = recv(c->fd, reply + length, REPLY_SIZE - length, 0);
        if (got < 0 && errno == EAGAIN)
            connection_refuse("the server did not answer", reply, length);
        if (got <= 0)
            connection_refuse("the server hung up while connecting", reply, length);
        length += (size_t)got;
        size_t blank = 0;
        while (blank < length && reply[blank] == '\n')
            blank++;
        length -= blank;
        memmove(reply, reply + blank, length);
        if (memchr(reply, terminator, length) || length == REPLY_SIZE)
            return length;
    }
}

void connection_request(connection *c, const buffer *request, const char *reply, char terminator)
{
    static char answer[REPLY_SIZE];
    connection_send(c, request->data, request->length);
    size_t length = read_reply(c, answer, terminator);
    if (length < strlen(reply) || memcmp(answer, reply, strlen(reply)))
        connection_refuse("unexpected reply", answer, length);
}

/* One buffer serves all connections, so that it stays in the cache: the rest of the last read is
 * put in front of what is read now, and what is left over is kept until the next read. */
uint64_t connection_receive(connection *c)
{
    static buffer input;
    uint64_t before = c->received;
    size_t kept = c->rest.length;
    if (input.capacity < kept + READ_SIZE) {
        input.capacity = kept + READ_SIZE;
        input.data = must_alloc(realloc(input.data, input.capacity));
    }
    if (kept)
        memcpy(input.data, c->rest.data, kept);
    ssize_t got = recv(c->fd, input.data + kept, READ_SIZE, 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        connection_refuse("the server hung up", input.data, kept);
    size_t length = kept + (size_t)got;
    size_t done = c->protocol->scan(c, input.data, length);
    c->rest.length = 0;
    buffer_append(&c->rest, input.data + done, length - done);
    return c->received - before;
}

size_t connection_offer(connection *c, const char *data, size_t length)
{
    ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN)
        die_errno("send");
    return sent < 0 ? 0 : (size_t)sent;
}

void connection_flush(connection *c)
{
    if (c->output.length)
        buffer_take(&c->output, connection_offer(c, c->output.data, c->output.length));
}
