/* The workloads, each in a file of its own, and what they share. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "options.h"

/* Each prints its line of JSON and returns the exit status. */
int flood(const options *o, bool queue);
int ping_pong(const options *o);
int idle(const options *o);

/* A new string: the prefix of topics or queues, and the name. */
char *destination_of(const options *o, bool queue);

/* Appends one frame as the options describe it. */
void encode_frame(buffer *out, const options *o, const char *destination);

/* Blocking: a new connection, logged in and, unless it only publishes, subscribed. */
void start_connection(connection *c, const options *o, role r, const subscription *s);

/* Processor time used so far, in seconds, by a process with all its threads; 0 for pid 0. */
double cpu_seconds_of(int pid);
double cpu_seconds_of_generator(void);

#endif
