"""Topic patterns and the values attached to them; csrc/paths.h draws the trie, csrc/walk.h explains how it is
searched."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.wire cimport Census

cdef enum:
    MATCH_STEP = 64     # what one step of a match costs, in bytes of output that would have cost as much


cdef extern from "csrc/entries.h" nogil:
    # One value at one pattern: a field of its owner (a subscription), zeroed before its first use. The trie keeps a
    # pointer to it from insert to remove, so the owner neither moves nor goes away in between.
    ctypedef struct TrieEntry:
        void *value     # opaque: a receiver
        uint32_t node   # where it is attached, 0 = nowhere
        uint32_t slot   # its place among the entries there

    # What a match appends to; zeroed before its first use, used again with count = 0.
    ctypedef struct Matches:
        void **items
        size_t count
        size_t capacity

    void matches_free(Matches *matches)


cdef struct Tree  # what a Trie is made of

# Told when a pattern got its first value (wanted) or lost its last one; ** is written as #. The trie is whole then.
ctypedef void (*Interest)(void *listener, const char *pattern, size_t length, bint wanted) noexcept


cdef class Trie:
    cdef readonly uint64_t generation  # grows with every insert and remove: caches above compare it
    cdef Tree *tree
    cdef int64_t *work                 # where the steps of matches are added, or NULL
    cdef Interest interest             # NULL: nobody listens
    cdef void *listener

    # From now on its memory and its work are counted there too, and what it has already. The census must outlive it.
    cdef void count_in(self, Census *census) noexcept
    # ValueError with pattern_error's reason when that is not NULL; MemoryError leaves the trie as it was.
    cdef int insert(self, const char *pattern, size_t length, TrieEntry *entry) except -1
    # An entry that is nowhere is left alone.
    cdef void remove(self, TrieEntry *entry) noexcept
    # Appends the value of every entry whose pattern matches, each once. The name has at most LEVELS_MAX words.
    # MemoryError leaves `out` as it was.
    cdef int match(self, const char *name, size_t length, Matches *out) except -1
