"""What a destination names."""

cdef enum Kind:
    KIND_TOPIC
    KIND_QUEUE
    KIND_EXISTING_QUEUE     # /amq/queue/<name>
    KIND_TEMPORARY          # /temp-queue/<id>
    KIND_REPLY              # /reply-queue/<token>
    KIND_DIRECT             # /exchange/amq.direct/<key>
    KIND_FANOUT             # /exchange/amq.fanout
    KIND_TEMPORARY_TOPIC    # /temp-topic/<id>
    KIND_REPLY_TOPIC        # /reply-topic/<token>
    KIND_PRESENCE           # /presence/<topic>

cdef Kind kind_of(bytes destination) except *
cdef bytes name_in(bytes destination, Kind kind)
cdef bytes canonical(Kind kind, bytes name)
cdef bytes canonical_of(bytes destination)
cdef bint is_management(Kind kind, bytes name)
cdef bint is_topic(Kind kind) noexcept
cdef bint is_apart(Kind kind) noexcept
cdef list parts_of(bytes destination)
cdef bytes without_options(bytes destination)
cdef dict options_of(bytes destination)
cdef bytes typed(bytes destination, bytes type)
cdef bytes followed_topic(bytes queue)
cdef int check_topic(bytes name, int max_levels) except -1
cdef int check_pattern(bytes pattern, int max_levels) except -1
cdef int check_key(bytes name, int max_levels) except -1
cdef int check_queue(bytes name) except -1
