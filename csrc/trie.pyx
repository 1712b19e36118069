"""Trie: from the name of a topic to the values whose patterns match it.

    pattern.h   the words of a pattern, and one pattern against one name
    entries.h   the values at one pattern
    nodes.h     places and edges
    tails.h     ends of patterns that are not walked
    paths.h     how a pattern becomes nodes; here the trie is drawn
    walk.h      a match

What a match costs is bounded, whatever the patterns: it walks some 13,000 nodes for 32 words (csrc/paths.h), and looks
at each tail at most once, in a few nanoseconds (csrc/tails.h). Everything else is done in steps of the pattern's
length.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from fastbroker.core.pattern cimport LEVELS_MAX, is_pattern, pattern_error, pattern_matches
from fastbroker.core.table cimport hash_seed
from fastbroker.core.wire cimport Census

import os

cdef extern from "csrc/walk.h" nogil:
    enum:
        NOWHERE
        PATTERN_SPACE
    ctypedef size_t Entries
    ctypedef struct Charge:
        int64_t bytes
        int64_t *counted
    ctypedef struct Node:
        Entries entries
    ctypedef struct Nodes:
        uint64_t seed
        uint32_t count
        Charge charge
    ctypedef struct Walk:
        uint64_t steps
    int entries_add(Charge *account, Entries *entries, TrieEntry *entry)
    void entries_remove(Charge *account, Entries *entries, TrieEntry *entry)
    bint entries_single(Entries entries)
    Node *node_at(const Nodes *nodes, uint32_t id)
    uint32_t make_path(Nodes *nodes, const char *pattern, size_t length)
    void prune(Nodes *nodes, uint32_t id)
    size_t path_text(const Nodes *nodes, uint32_t id, char *out)
    void paths_free(Nodes *nodes)
    void walk_free(Walk *walk, Charge *account)
    int walk_match(Walk *walk, Nodes *nodes, const char *name, size_t length, Matches *out)


cdef struct Tree:
    Nodes nodes
    Walk walk
    size_t entry_count


cdef int attach(Tree *tree, uint32_t id, TrieEntry *entry) noexcept:
    if entries_add(&tree.nodes.charge, &node_at(&tree.nodes, id).entries, entry) < 0:
        tidy(tree, id)
        return -1
    entry.node = id
    tree.entry_count += 1
    return 0


cdef void detach(Tree *tree, TrieEntry *entry) noexcept:
    cdef uint32_t id = entry.node
    entries_remove(&tree.nodes.charge, &node_at(&tree.nodes, id).entries, entry)
    entry.node = NOWHERE
    tree.entry_count -= 1
    tidy(tree, id)


cdef void tidy(Tree *tree, uint32_t id) noexcept:
    prune(&tree.nodes, id)
    if tree.nodes.count == 0:
        walk_free(&tree.walk, &tree.nodes.charge)


@cython.final
cdef class Trie:
    """Patterns with values, for the compiled half; Python uses PatternTable."""

    def __cinit__(self):
        self.tree = <Tree *>calloc(1, sizeof(Tree))
        if self.tree == NULL:
            raise MemoryError
        self.tree.nodes.seed = hash_seed(int.from_bytes(os.urandom(8), "little"))

    def __dealloc__(self):
        if self.tree != NULL:
            walk_free(&self.tree.walk, &self.tree.nodes.charge)
            paths_free(&self.tree.nodes)
            free(self.tree)

    cdef void count_in(self, Census *census) noexcept:
        census.memory += self.tree.nodes.charge.bytes
        self.tree.nodes.charge.counted = &census.memory
        self.work = &census.work

    cdef int insert(self, const char *pattern, size_t length, TrieEntry *entry) except -1:
        cdef const char *reason = pattern_error(pattern, length, LEVELS_MAX)
        cdef uint32_t node
        cdef bint first
        if reason != NULL:
            raise ValueError(reason.decode())
        node = make_path(&self.tree.nodes, pattern, length)
        if node == NOWHERE:
            raise MemoryError
        first = node_at(&self.tree.nodes, node).entries == 0
        if attach(self.tree, node, entry) < 0:
            raise MemoryError
        self.generation += 1
        if first and self.interest != NULL:
            tell(self, node)
        return 0

    cdef void remove(self, TrieEntry *entry) noexcept:
        if entry.node == NOWHERE:
            return
        self.generation += 1
        if self.interest == NULL:
            detach(self.tree, entry)
        else:
            detach_and_tell(self, entry)

    cdef int match(self, const char *name, size_t length, Matches *out) except -1:
        cdef size_t before = out.count
        cdef uint64_t steps = self.tree.walk.steps
        cdef bint failed = walk_match(&self.tree.walk, &self.tree.nodes, name, length, out) < 0
        if self.work != NULL:
            self.work[0] += MATCH_STEP * <int64_t>(self.tree.walk.steps - steps)
        if failed:
            out.count = before
            raise MemoryError
        return 0

    def __len__(self):
        return self.tree.entry_count

    @property
    def node_count(self):
        """Nodes in use: one for each word of the patterns that is walked, beginnings shared."""
        return self.tree.nodes.count

    @property
    def steps(self):
        """What all matches so far have looked at: nodes, and some tails for each step."""
        return self.tree.walk.steps

    @property
    def memory(self):
        """Bytes of nodes, edges, words, tails and lists of entries; the entries themselves belong to their owners."""
        return self.tree.nodes.charge.bytes


cdef void tell(Trie self, uint32_t node) noexcept:
    cdef char pattern[PATTERN_SPACE]
    cdef size_t length = path_text(&self.tree.nodes, node, pattern)
    self.interest(self.listener, pattern, length, True)


cdef void detach_and_tell(Trie self, TrieEntry *entry) noexcept:
    """The text of the pattern goes with its last value, so it is taken down before."""
    cdef char pattern[PATTERN_SPACE]
    cdef size_t length = path_text(&self.tree.nodes, entry.node, pattern)
    cdef bint last = entries_single(node_at(&self.tree.nodes, entry.node).entries)
    detach(self.tree, entry)
    if last:
        self.interest(self.listener, pattern, length, False)


# ---- the face to Python ----------------------------------------------------------------------------------------------

@cython.final
cdef class PatternEntry:
    """One value at one pattern of a PatternTable."""

    cdef TrieEntry entry
    cdef readonly bytes pattern
    cdef readonly object value

    def __init__(self):
        raise TypeError("PatternTable.add makes these")


@cython.final
cdef class PatternTable:
    """Patterns with Python objects as values."""

    cdef readonly Trie trie
    cdef set _entries  # keeps alive what the trie points to
    cdef Matches _counted

    def __cinit__(self):
        self.trie = Trie()
        self._entries = set()

    def __dealloc__(self):
        matches_free(&self._counted)

    def add(self, bytes pattern not None, object value):
        cdef PatternEntry entry = PatternEntry.__new__(PatternEntry)
        entry.pattern = pattern
        entry.value = value
        entry.entry.value = <void *>entry
        self._entries.add(entry)
        try:
            self.trie.insert(pattern, len(pattern), &entry.entry)
        except BaseException:
            self._entries.discard(entry)
            raise
        return entry

    def discard(self, PatternEntry entry not None):
        self._entries.remove(entry)
        self.trie.remove(&entry.entry)

    def find(self, bytes name not None):
        cdef Matches matches
        check_levels(name)
        memset(&matches, 0, sizeof(Matches))
        try:
            self.trie.match(name, len(name), &matches)
            return [(<PatternEntry>matches.items[i]).value for i in range(matches.count)]
        finally:
            matches_free(&matches)

    def count(self, bytes name not None):
        check_levels(name)
        self._counted.count = 0
        self.trie.match(name, len(name), &self._counted)
        return self._counted.count

    def __len__(self):
        return len(self.trie)


cdef int check_levels(bytes name) except -1:
    if name.count(b".") + name.count(b"/") >= LEVELS_MAX:
        raise ValueError("the name has more than 63 words")
    return 0


def has_wildcard(bytes name not None):
    return is_pattern(name, len(name))


def check_pattern(bytes pattern not None, int max_levels=32):
    cdef const char *reason = pattern_error(pattern, len(pattern), max_levels)
    return None if reason == NULL else reason.decode()


def matches_pattern(bytes pattern not None, bytes name not None):
    return pattern_matches(pattern, len(pattern), name, len(name))
