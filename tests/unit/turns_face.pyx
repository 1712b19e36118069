"""A face to Python of csrc/ring.h, csrc/wheel.h and csrc/flow.h, for their test."""
from libc.stdint cimport uint64_t

from fastbroker.core.wire cimport (
    Flow, Link, Timer, Wheel, flow_due, flow_ease, flow_init, flow_press, flow_take, link_init, link_join, link_joined,
    link_leave, ring_empty, ring_init, ring_splice, ring_take, timer_arm, timer_cancel, timer_init, wheel_advance,
    wheel_init,
)


cdef class Member:
    """Somebody who stands in a ring, or nowhere."""
    cdef Link link
    cdef readonly object name

    def __cinit__(self, name):
        link_init(&self.link, <void *>self)
        self.name = name

    @property
    def stands(self):
        return link_joined(&self.link) != 0

    def leave(self):
        link_leave(&self.link)


cdef class Ring:
    cdef Link head

    def __cinit__(self):
        ring_init(&self.head)

    def join(self, Member member not None):
        link_join(&self.head, &member.link)

    def take(self):
        """The name of who stood first, or None."""
        cdef void *owner = ring_take(&self.head)
        return None if owner == NULL else (<Member>owner).name

    def splice(self, Ring other not None):
        ring_splice(&self.head, &other.head)

    @property
    def is_empty(self):
        return ring_empty(&self.head) != 0

    @property
    def names(self):
        """Of all, forwards; backwards it must be the same."""
        cdef Link *link = self.head.next
        cdef list forwards = [], backwards = []
        while link != &self.head:
            forwards.append((<Member>link.owner).name)
            link = link.next
        link = self.head.previous
        while link != &self.head:
            backwards.insert(0, (<Member>link.owner).name)
            link = link.previous
        assert forwards == backwards
        return forwards


cdef class Alarm:
    cdef Timer timer
    cdef Clock clock
    cdef readonly object name

    @property
    def is_armed(self):
        return link_joined(&self.timer.link) != 0


cdef void ring_alarm(void *owner) noexcept:
    cdef Alarm alarm = <Alarm>owner
    alarm.clock.fired.append((alarm.name, alarm.clock.now))
    if alarm.clock.then is not None:
        alarm.clock.then(alarm)


cdef class Clock:
    """A wheel, and what has fired when."""
    cdef Wheel wheel
    cdef readonly list fired
    cdef readonly uint64_t now
    cdef public object then     # called with what fires

    def __cinit__(self, uint64_t now):
        self.fired = []
        self.now = now
        wheel_init(&self.wheel, now)

    def alarm(self, name):
        cdef Alarm new = Alarm()
        new.clock = self
        new.name = name
        timer_init(&new.timer, ring_alarm, <void *>new)
        return new

    def arm(self, Alarm alarm not None, uint64_t due):
        timer_arm(&self.wheel, &alarm.timer, due)

    def cancel(self, Alarm alarm not None):
        timer_cancel(&alarm.timer)

    def advance(self, uint64_t now):
        """Step by step, as the hub does, so that `fired` has the times."""
        while self.now < now:
            self.now += 1
            wheel_advance(&self.wheel, self.now)


cdef class Subscriber:
    """The flow of a subscriber. Times are milliseconds; the grace is told with each call, as it is a setting."""
    cdef Flow flow

    def __cinit__(self):
        flow_init(&self.flow)

    def press(self, uint64_t now, uint64_t grace):
        return flow_press(&self.flow, now, grace, 1) != 0

    def take(self, size_t amount, uint64_t now, uint64_t grace):
        flow_take(&self.flow, amount, now, grace)

    def ease(self, uint64_t now):
        flow_ease(&self.flow, now)

    @property
    def due(self):
        return flow_due(&self.flow)

    def give_up(self):
        self.flow.overdue = 1

    @property
    def is_overdue(self):
        return self.flow.overdue != 0
