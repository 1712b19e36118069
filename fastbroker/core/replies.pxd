"""Temporary topics, as others send to them."""
cimport cython

from fastbroker.core.frame cimport Content
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.topic cimport TopicRoute


@cython.final
@cython.no_gc
cdef class ReplyTopic:
    cdef bytes name         # /reply-topic/<token>
    cdef bint gone          # its connection has ended


@cython.final
@cython.no_gc
cdef class ReplyTopicRoute(Route):
    cdef ReplyTopic topic
    cdef TopicRoute route   # to those who have subscribed; only its owner can


cdef ReplyTopic reply_topic(bytes name)
cdef ReplyTopicRoute reply_topic_route(bytes destination, ReplyTopic topic, TopicRoute route, QueueOwner owner)
