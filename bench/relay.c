/* The limit of the machine: a relay that copies bytes and parses nothing.
 *
 * A client's first byte says what it is, and one '+' answers that it is known:
 *
 *     client                      relay
 *     'P'  publisher        -->   '+'   then every byte it sends goes to every subscriber
 *     'S'  subscriber       -->   '+'   then it only receives
 *     'E'  echo             -->   '+'   then its own bytes come back
 *
 * A broker does at least what this does: one read, and one write per subscriber. So its
 * rate is the limit of this machine, and the share of it that a broker reaches is a number that
 * travels between machines.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 256 * 1024, MAX_SUBSCRIBERS = 16384, MAX_EVENTS = 256 };

typedef enum { LISTENER, NEWCOMER, PUBLISHER, SUBSCRIBER, ECHO } role;

typedef struct {
    int fd;
    role role;
} client;

enum { EXIT_TROUBLE = 2 };

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_TROUBLE);
}

__attribute__((noreturn)) static void die_errno(const char *what)
{
    die("%s: %s", what, strerror(errno));
}

static void *must_alloc(void *memory)
{
    if (!memory)
        die("out of memory");
    return memory;
}

/* A whole number from a command line, refused when it is anything else. */
static long must_number(const char *text, long least, long most)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most)
        die("%s: expected a number from %ld to %ld", text, least, most);
    return value;
}

/* A thousand subscribers need more descriptors than the soft limit usually grants. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_errno("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        die_errno("setrlimit");
}

static int poller;
static char chunk[READ_SIZE];
static client *subscribers[MAX_SUBSCRIBERS];
static size_t subscriber_count;

static void watch(int fd, role what)
{
    client *c = must_alloc(malloc(sizeof *c));
    *c = (client){.fd = fd, .role = what};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0)
        die_errno("epoll_ctl");
}

static void forget_subscriber(const client *c)
{
    for (size_t i = 0; i < subscriber_count; i++) {
        if (subscribers[i] == c) {
            subscribers[i] = subscribers[--subscriber_count];
            return;
        }
    }
}

static void hang_up(client *c)
{
    if (c->role == SUBSCRIBER)
        forget_subscriber(c);
    close(c->fd);
    free(c);
}

/* What a send took; a peer that has gone takes everything, its hang-up is read later. */
static size_t taken(ssize_t sent, size_t offered)
{
    if (sent >= 0)
        return (size_t)sent;
    return errno == EAGAIN || errno == EINTR ? 0 : offered;
}

/* The wait in here is the back-pressure: while it lasts nothing more is read from anybody. */
static void send_rest(const client *c, size_t done, size_t length)
{
    while (done < length)
        done += taken(send(c->fd, chunk + done, length - done, MSG_NOSIGNAL), length - done);
}

/* First what every subscriber takes at once, and only then the waiting, so that one full socket
 * does not keep the next subscriber from getting to work. */
static void fan_out(size_t length)
{
    static size_t done[MAX_SUBSCRIBERS];
    for (size_t i = 0; i < subscriber_count; i++) {
        ssize_t sent = send(subscribers[i]->fd, chunk, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        done[i] = taken(sent, length);
    }
    for (size_t i = 0; i < subscriber_count; i++)
        send_rest(subscribers[i], done[i], length);
}

static void welcome(client *c)
{
    static const role roles[256] = {['P'] = PUBLISHER, ['S'] = SUBSCRIBER, ['E'] = ECHO};
    unsigned char letter;
    if (read(c->fd, &letter, 1) != 1 || !roles[letter] || send(c->fd, "+", 1, MSG_NOSIGNAL) != 1) {
        hang_up(c);
        return;
    }
    c->role = roles[letter];
    if (c->role != SUBSCRIBER)
        return;
    if (subscriber_count == MAX_SUBSCRIBERS)
        die("more than %d subscribers", MAX_SUBSCRIBERS);
    subscribers[subscriber_count++] = c;
}

static void pass_on(client *c)
{
    ssize_t length = read(c->fd, chunk, sizeof chunk);
    if (length <= 0)
        hang_up(c);
    else if (c->role == PUBLISHER)
        fan_out((size_t)length);
    else if (c->role == ECHO)
        send_rest(c, 0, (size_t)length);
}

static void accept_client(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        die_errno("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    watch(fd, NEWCOMER);
}

static void handle(client *c)
{
    if (c->role == LISTENER)
        accept_client(c->fd);
    else if (c->role == NEWCOMER)
        welcome(c);
    else
        pass_on(c);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0)
        die_errno("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening on tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc > 2)
        die("usage: relay [PORT]");
    raise_descriptor_limit();
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listen_on(argc == 2 ? (int)must_number(argv[1], 0, 65535) : 0), LISTENER);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(poller, events, MAX_EVENTS, -1);
        if (ready < 0 && errno != EINTR)
            die_errno("epoll_wait");
        for (int i = 0; i < ready; i++)
            handle(events[i].data.ptr);
    }
}
