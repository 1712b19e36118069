/* The command line of the load generator. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include "protocol.h"

typedef struct {
    const protocol *protocol;
    const char *workload;
    const char *host;
    const char *port;
    const char *destination; /* the bare name; the protocol has the prefix */
    const char *ack;
    bool content_length;
    int prefetch;
    int publishers;
    int subscribers;
    int connections; /* of the idle workload */
    int size;        /* of a body */
    int batch;       /* bytes handed to one write */
    int window;      /* most messages under way, 0 = as many as the server lets through */
    int server_pid;  /* whose processor time is reported, 0 = nobody's */
    double warm_up;  /* seconds */
    double seconds;  /* measured */
    double patience; /* seconds without any progress after which messages count as lost */
} options;

options options_read(char **argv);

#endif
