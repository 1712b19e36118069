"""Topic patterns and the values attached to them; the structure is drawn at the head of csrc/trie.pyx."""

from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    WORD_LENGTH_MAX = 255  # bytes of one word of a pattern
    LEVELS_MAX = 63        # words of a pattern, whatever the configuration says
    OPEN_WORDS_MAX = 2     # how many of '#', '**' and '>' one pattern may have


# One value at one pattern: a field of its owner (a subscription), zeroed before its first use. The trie keeps a
# pointer to it from insert to remove, so the owner neither moves nor goes away in between.
cdef struct TrieEntry:
    void *value     # opaque
    uint32_t node   # where it is attached, 0 = nowhere
    uint32_t slot   # its place among the entries there


# What a match appends to; zeroed before its first use, used again with count = 0.
cdef struct Matches:
    void **items
    size_t count
    size_t capacity


cdef struct Tree  # what a Trie is made of


cdef class Trie:
    cdef readonly uint64_t generation  # grows with every insert and remove: caches above compare it
    cdef Tree *tree

    # ValueError with pattern_error's reason when that is not NULL; MemoryError leaves the trie as it was.
    cdef int insert(self, const char *pattern, size_t length, TrieEntry *entry) except -1
    # An entry that is nowhere is left alone.
    cdef void remove(self, TrieEntry *entry) noexcept
    # Appends the value of every entry whose pattern matches, each once. MemoryError leaves `out` as it was.
    cdef int match(self, const char *name, size_t length, Matches *out) except -1


cdef void matches_free(Matches *matches) noexcept nogil
# Has at least one wildcard word.
cdef bint is_pattern(const char *name, size_t length) noexcept nogil
# NULL when the pattern is fine, else why not, for a person.
cdef const char *pattern_error(const char *pattern, size_t length, int max_levels) noexcept nogil
# One pattern against one name, without a trie; never true for a pattern of more than LEVELS_MAX words.
cdef bint pattern_matches(const char *pattern, size_t pattern_length,
                          const char *name, size_t name_length) noexcept nogil
