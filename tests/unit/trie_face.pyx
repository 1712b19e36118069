"""A face to Python of what only compiled modules may do with a trie: listen, and have it counted."""
from libc.stdlib cimport calloc, free

from fastbroker.core.trie cimport MATCH_STEP, Matches, Trie, TrieEntry, matches_free
from fastbroker.core.wire cimport Census

cdef extern from *:
    """
    #if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    #include <malloc.h>
    static long long heap_in_use(void) {
        struct mallinfo2 info = mallinfo2();
        return (long long)(info.uordblks + info.hblkhd);
    }
    #else
    static long long heap_in_use(void) {
        return -1;
    }
    #endif
    """
    long long heap_in_use()

STEP = MATCH_STEP


cdef class Watched:
    """A trie whose entries have no values; keeps what it was told."""
    cdef Trie trie
    cdef Census census
    cdef TrieEntry *entries
    cdef size_t room
    cdef readonly list told

    def __init__(self, size_t room):
        self.trie = Trie()
        self.trie.count_in(&self.census)
        self.entries = <TrieEntry *>calloc(room, sizeof(TrieEntry))
        self.room = room
        self.told = []

    def __dealloc__(self):
        self.trie = None
        free(self.entries)

    def listen(self):
        self.trie.interest = hear
        self.trie.listener = <void *>self

    def insert(self, size_t slot, bytes pattern not None):
        assert slot < self.room
        self.entries[slot].value = &self.entries[slot]
        self.trie.insert(pattern, len(pattern), &self.entries[slot])

    def insert_all(self, list patterns not None):
        """How much more of the heap is in use after that; -1 if it cannot be known."""
        cdef long long before = heap_in_use()
        cdef size_t slot = 0
        cdef bytes pattern
        for pattern in patterns:
            self.insert(slot, pattern)
            slot += 1
        return -1 if before < 0 else heap_in_use() - before

    def remove(self, size_t slot):
        assert slot < self.room
        self.trie.remove(&self.entries[slot])

    def match(self, bytes name not None):
        """How many were found; the room for them is given back."""
        cdef Matches found = Matches(NULL, 0, 0)
        cdef size_t count
        self.trie.match(name, len(name), &found)
        count = found.count
        matches_free(&found)
        return count

    @property
    def counted(self):
        """(memory, work) of the census, and the memory that the trie tells of."""
        return self.census.memory, self.census.work, self.trie.memory

    @property
    def steps(self):
        return self.trie.steps


cdef void hear(void *listener, const char *pattern, size_t length, bint wanted) noexcept:
    cdef Watched watched = <Watched>listener
    # The trie is whole: it may be asked at once.
    watched.told.append((pattern[:length], wanted, watched.match(pattern[:length])))
