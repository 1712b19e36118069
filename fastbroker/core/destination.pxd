"""What a destination names."""

cdef enum Kind:
    KIND_TOPIC
    KIND_QUEUE
    KIND_EXISTING_QUEUE     # /amq/queue/<name>
    KIND_TEMPORARY          # /temp-queue/<id>
    KIND_REPLY              # /reply-queue/<token>

cdef Kind kind_of(bytes destination) except *
cdef bytes name_in(bytes destination, Kind kind)
cdef bytes canonical(Kind kind, bytes name)
cdef int check_topic(bytes name, int max_levels) except -1
cdef int check_pattern(bytes pattern, int max_levels) except -1
