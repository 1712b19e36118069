"""Routes: the outcome of looking a destination up, kept so that the next message needs no look-up."""
from fastbroker.core.trie cimport Trie, matches_free
from fastbroker.core.wire cimport Census


cdef Route route_new(int kind, bytes destination, bytes name, Census *census):
    cdef Route new = Route()
    new.kind = kind
    new.destination = destination
    new.destination_bytes = destination
    new.destination_length = len(destination)
    new.name = name
    new.census = census
    census.routes += 1
    return new


cdef class Route:

    def __dealloc__(self):
        matches_free(&self.matches)
        if self.census != NULL:
            self.census.routes -= 1

    cdef int rematch(self, Trie topics) except -1:
        """Asks the trie again; as much work as one delivery to each subscriber, so it is not done in pieces."""
        self.matches.count = 0
        topics.match(self.name, len(self.name), &self.matches)
        self.generation = topics.generation
        return 0
