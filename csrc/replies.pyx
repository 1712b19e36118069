"""Reply topics: temporary topics as others see them, and the routes there.

A route may outlive the topic: whoever answers in the same place again is not told that the asker has gone. What is sent
there then is dropped, and counted.
"""
from fastbroker.core.route cimport route_init


cdef ReplyTopic reply_topic(bytes name):
    cdef ReplyTopic new = ReplyTopic()
    new.name = name
    return new


cdef ReplyTopicRoute reply_topic_route(bytes destination, ReplyTopic topic, TopicRoute route, QueueOwner owner):
    cdef ReplyTopicRoute new = ReplyTopicRoute()
    route_init(new, destination, owner.census, &owner.route_memory)
    new.topic = topic
    new.route = route
    return new


cdef class ReplyTopic:
    pass


cdef class ReplyTopicRoute(Route):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        if self.topic.gone:
            self.census.replies_dropped += 1
            return 0
        return self.route.take(content, origin)

    cdef bint has_somebody(self) except -1:
        return not self.topic.gone and self.route.has_somebody()
