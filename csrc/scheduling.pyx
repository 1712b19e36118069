"""Looking at the schedule, and cancelling, as ActiveMQ's clients do: by SENDs to ActiveMQ.Scheduler.Management.

    AMQ_SCHEDULER_ACTION: BROWSE        the first of what is scheduled come to reply-to:/temp-queue/<id>
                          REMOVE        the one that scheduledJobId names
                          REMOVEALL     all
    ACTION_START_TIME, ACTION_END_TIME  only those that are due between two times (ms since 1970)
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memset

from fastbroker.core.frame cimport decoded, encoded
from fastbroker.core.message cimport message_content, message_new
from fastbroker.core.queue cimport Queue, QueueOwner
from fastbroker.core.route cimport Origin, route_init
from fastbroker.core.schedule cimport Job
from fastbroker.core.wire cimport ceiling_closed, counter_increment, parse_number, steady_now, wall_now

from fastbroker.core.frame import Refused

cdef enum:
    MOST_SHOWN = 4194304    # bytes of messages, of which one BROWSE makes copies
    WORK = 2048             # what reading what is asked takes, in bytes of output

LAST = 2**63


cdef SchedulingRoute scheduling_route(bytes destination, Schedule schedule, Counter *number, dict replies,
                                      int64_t *held):
    cdef SchedulingRoute new = SchedulingRoute()
    route_init(new, destination, schedule.census, held)
    new.schedule = schedule
    new.number = number
    new.replies = replies
    return new


cdef class SchedulingRoute(Route):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        cdef dict headers = headers_in(content.head[:content.head_length])
        cdef bytes action = headers.get(b"AMQ_SCHEDULER_ACTION", b"")
        self.census.work += WORK
        if action == b"BROWSE":
            return browse(self, headers)
        if action == b"REMOVE":
            return remove(self, job_number(headers))
        if action == b"REMOVEALL":
            return self.schedule.cancel_all(start_in(headers), end_in(headers))
        raise Refused(b"bad header", b"AMQ_SCHEDULER_ACTION is BROWSE, REMOVE or REMOVEALL.")


cdef dict headers_in(bytes head):
    """The first of each name."""
    cdef dict headers = {}
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        headers.setdefault(decoded(name, len(name), 12), decoded(value, len(value), 12))
    return headers


cdef uint64_t job_number(dict headers) except? 0:
    cdef bytes text = headers.get(b"scheduledJobId", b"")
    cdef uint64_t number = 0
    if not parse_number(text, len(text), 19, &number):
        raise Refused(b"bad header", b"scheduledJobId is a number that BROWSE told.")
    return number


cdef uint64_t time_in(dict headers, bytes name, otherwise) except? 0:
    cdef bytes text = headers.get(name)
    cdef uint64_t time = 0
    if text is None:
        return otherwise
    if not parse_number(text, len(text), 18, &time):
        raise Refused(b"bad header", b"%b is a time in milliseconds since 1970." % name)
    return time


cdef uint64_t start_in(dict headers) except? 0:
    return time_in(headers, b"ACTION_START_TIME", 0)


cdef uint64_t end_in(dict headers) except? 0:
    return time_in(headers, b"ACTION_END_TIME", LAST)


cdef int remove(SchedulingRoute self, uint64_t number) except -1:
    if not self.schedule.cancel(number):
        raise Refused(b"bad header", b"scheduledJobId names nothing that is scheduled any more.")
    return 0


cdef int browse(SchedulingRoute self, dict headers) except -1:
    cdef Queue queue = self.replies.get(headers.get(b"reply-to"))
    cdef int64_t until
    cdef list numbers
    if queue is None:
        raise Refused(b"missing header", b"BROWSE needs reply-to:/temp-queue/<id> for what is scheduled.")
    numbers = self.schedule.within(start_in(headers), end_in(headers))
    until = self.census.work + MOST_SHOWN
    for number in numbers:
        if self.census.work > until or ceiling_closed((<QueueOwner>queue.owner).ceiling):
            break   # whoever wants more asks for what is due later
        show(self, queue, self.schedule.job(number))
    queue.call()
    return 0


cdef int show(SchedulingRoute self, Queue queue, const Job *job) except -1:
    cdef uint64_t due = job.due + wall_now(self.census) - steady_now(self.census)
    cdef Content content
    cdef bytes head
    memset(&content, 0, sizeof(content))
    message_content(job.message, &content)
    head = b"\n" + content.head[:content.head_length]
    head = b"destination:%b\nscheduledJobId:%d\nAMQ_SCHEDULED_TIME:%d%b" % (
        encoded(queue.name, 12), job.number, due, head.replace(b"\ndestination:", b"\noriginal-destination:", 1))
    content.head = PyBytes_AS_STRING(head)
    content.head_length = PyBytes_GET_SIZE(head)
    content.properties = NULL
    counter_increment(self.number)
    queue.push(message_new(self.census, &content, self.number.value))
    self.census.work += content.head_length + content.body_length
    return 0
