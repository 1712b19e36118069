/* The load generator: one process, one thread, all publishers and subscribers of a measurement.
 * README.md in the directory above says what each workload does.
 */
#include "workload.h"

int main(int argc, char **argv)
{
    (void)argc;
    options o = options_read(argv);
    raise_descriptor_limit();
    if (!strcmp(o.workload, "topic"))
        return flood(&o, false);
    if (!strcmp(o.workload, "queue"))
        return flood(&o, true);
    if (!strcmp(o.workload, "ping"))
        return ping_pong(&o);
    if (!strcmp(o.workload, "idle"))
        return idle(&o);
    die("%s: expected topic, queue, ping or idle", o.workload);
}
