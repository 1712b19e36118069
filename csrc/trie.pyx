"""Trie: from the name of a topic to the values whose patterns match it.

A pattern is a row of words, each with a separator in front of it, '.' or '/'. Patterns with a wildcard share their
beginnings; a pattern without one is a single child of the root, known by all its bytes. Here a.*, a.#.z, a/*, b.c
(numbers are node ids, 0 is the root):

    (0) ══a══> (1) ──.*──> (2)            ══  edge: found by its bytes in the hash table
     ║          │  ──.#──> (3) ══.z══> (4)  ──  wild: an id in the parent, one for each wildcard and separator
     ║          │  ──/*──> (5)
     ╚══b.c══> (6)

    nodes   one flat array, 64 bytes a node, ids instead of pointers; `parent` strings free nodes together

            ┌ parent, way (kind and separator)
            │ label: the bytes of the word (or the whole name); longer than 16 bytes they are elsewhere
            │ wild: six ids, * # > by . /
            └ entries ──> │ value, value, ... │ TrieEntry *, TrieEntry *, ... │  (a single entry is pointed to directly)

    edges   ONE hash table for all nodes: (parent, way, bytes) -> child

            ┌──────┬───────┬──────┬───────┬───
            │ hash │ child │ hash │ child │ ...   8 bytes each, child 0 = free. The key is not here but in the child.
            └──────┴───────┴──────┴───────┴───

So a node with 100,000 children costs no more than one with two. An edge stands at the home that its hash gives it, or
behind it in the order of homes, as in csrc/table.h; the hash takes a secret seed, because clients choose the words.

A match looks up the whole name and then walks all paths at once, word by word. `active` holds the nodes that the words
so far lead to; those that one word more leads to are collected in `coming`; then the two change places. A node has one
way in, so it is collected once a word. Only '#' can be come to from its parent and from itself: it notes the tick of
the clock at which it was collected. So a match costs at most (words of the name) x (nodes they reach) whatever the
patterns are, allocates nothing once the two arrays have grown, and does not recurse.

    WORD    itself                               the separator in front of it must be the same
    STAR *  one word                             likewise
    MANY #  any number of words, also none; **   the same as in front of the first word that it takes
    REST >  one word or more, to the end         likewise

In front of a name's first word stands no separator: it counts as equal to any. A pattern's first word meets no other,
so it is kept as if it had a '.'.
"""

cimport cython
from libc.stdint cimport UINT32_MAX, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from fastbroker.core.table cimport hash_bytes, hash_fold, hash_seed

import os


cdef enum Separator:
    DOT
    SLASH
    ANY  # in front of the first word of a name


cdef enum Kind:  # even: with a separator added it is the way from a parent to a child
    WORD = 0
    STAR = 2
    MANY = 4
    REST = 6
    WHOLE = 8


cdef enum:
    ROOT = 0
    NEAR = 16                     # bytes of a word kept in its node
    ID_BITS = 0x7fffffff
    TOOK = <uint32_t>0x80000000   # on the id of an active MANY: it took at least one word
    NODES_MIN = 16
    NODES_MAX = ID_BITS
    EDGE_BITS_MIN = 4
    EDGE_BITS_MAX = 31


cdef union Entries:
    TrieEntry *one     # when entries_bits is 0
    void **many        # room for 1 << entries_bits values, behind it as much for the entries they belong to


cdef union Label:
    char near[NEAR]
    char *far          # the bytes of a word longer than NEAR
    uint64_t seen      # a wildcard has no bytes to keep, but the tick at which a match came by last


cdef struct Node:          # in the order in which a match needs it: malloc aligns to 16 bytes, not to a cache line
    uint32_t parent        # of a free node: the next free one
    uint16_t length        # bytes of the word
    uint8_t way            # from the parent to here
    uint8_t entries_bits
    Label label
    uint32_t edge_count    # children found by their bytes
    uint32_t entry_count
    Entries entries
    uint32_t wild[6]       # the other children: way - STAR -> child, 0 = none


cdef struct Edge:
    uint32_t hash
    uint32_t child


cdef struct Ids:
    uint32_t *items
    size_t count
    size_t capacity


cdef struct Tree:
    uint64_t seed
    Node *nodes
    uint32_t node_count     # in use, without the root
    uint32_t node_end       # ids from here on were never used
    uint32_t node_capacity
    uint32_t free_node      # the first of the list, 0 = none
    Edge *edges
    uint32_t edge_count
    uint32_t edge_bits      # there are places for 1 << edge_bits
    size_t entry_count
    size_t heap             # bytes of entry arrays and far labels
    uint64_t clock          # ticks once per word of every match
    Ids active
    Ids coming


# ---- words -----------------------------------------------------------------------------------------------------------

cdef struct Words:
    const char *text        # the current word
    size_t length
    uint8_t separator       # in front of it
    uint8_t following       # behind it
    const char *next        # NULL when the current word is the last
    const char *end


cdef inline Words words_of(const char *name, size_t length) noexcept nogil:
    cdef Words words
    memset(&words, 0, sizeof(Words))
    words.following = ANY
    words.next = name
    words.end = name + length
    return words


cdef inline bint next_word(Words *words) noexcept nogil:
    cdef const char *at = words.next
    if at == NULL:
        return False
    words.separator = words.following
    words.text = at
    while at < words.end and at[0] != c'.' and at[0] != c'/':
        at += 1
    words.length = at - words.text
    words.next = NULL
    if at < words.end:
        words.following = SLASH if at[0] == c'/' else DOT
        words.next = at + 1
    return True


cdef inline Kind kind_of(const Words *word) noexcept nogil:
    if word.length == 1:
        if word.text[0] == c'*':
            return STAR
        if word.text[0] == c'#':
            return MANY
        if word.text[0] == c'>':
            return REST
    elif word.length == 2 and word.text[0] == c'*' and word.text[1] == c'*':
        return MANY
    return WORD


cdef inline uint8_t way_of(const Words *word) noexcept nogil:
    return kind_of(word) | (SLASH if word.separator == SLASH else DOT)


cdef inline bint meets(uint8_t separator, uint8_t name_separator) noexcept nogil:
    return separator == name_separator or name_separator == ANY


cdef bint is_pattern(const char *name, size_t length) noexcept nogil:
    cdef Words word = words_of(name, length)
    while next_word(&word):
        if kind_of(&word) != WORD:
            return True
    return False


cdef const char *pattern_error(const char *pattern, size_t length, int max_levels) noexcept nogil:
    cdef Words word = words_of(pattern, length)
    cdef int levels = 0, open_words = 0
    while next_word(&word):
        levels += 1
        if levels > max_levels or levels > LEVELS_MAX:
            return "it has too many words"
        if word.length > WORD_LENGTH_MAX:
            return "one of its words is longer than 255 bytes"
        if kind_of(&word) == REST and word.next != NULL:
            return "'>' must be its last word"
        open_words += kind_of(&word) >= MANY
    if open_words > OPEN_WORDS_MAX:
        return "it has more than two of the wildcards '#', '**' and '>'"
    return NULL


# ---- one pattern against one name ------------------------------------------------------------------------------------

cdef struct Pattern:
    Words words[LEVELS_MAX]
    int count
    uint64_t many  # bit i: words[i] is MANY
    uint64_t open  # bit i: words[i] is MANY or REST


cdef bint split_pattern(Pattern *pattern, const char *text, size_t length) noexcept nogil:
    cdef Words word = words_of(text, length)
    cdef uint64_t bit = 1
    pattern.count = 0
    pattern.many = pattern.open = 0
    while next_word(&word):
        if pattern.count == LEVELS_MAX:
            return False
        pattern.words[pattern.count] = word
        pattern.count += 1
        if kind_of(&word) == MANY:
            pattern.many |= bit
        if kind_of(&word) >= MANY:
            pattern.open |= bit
        bit <<= 1
    return True


cdef inline bint word_fits(const Words *word, const Words *name_word) noexcept nogil:
    if not meets(word.separator, name_word.separator):
        return False
    return kind_of(word) != WORD or (
        word.length == name_word.length and memcmp(word.text, name_word.text, word.length) == 0)


cdef inline uint64_t skip_many(const Pattern *pattern, uint64_t reached) noexcept nogil:
    # '#' may take nothing: who stands in front of it also stands behind it.
    cdef uint64_t further = reached | (reached & pattern.many) << 1
    while further != reached:
        reached = further
        further = reached | (reached & pattern.many) << 1
    return reached


cdef bint pattern_matches(const char *pattern, size_t pattern_length,
                          const char *name, size_t name_length) noexcept nogil:
    # bit i of reached: the name so far can be what words[:i] took; bit i of taking: words[i] is open and took a word.
    cdef Pattern split
    cdef Words word = words_of(name, name_length)
    cdef uint64_t reached, moved, taking = 0
    cdef int i
    if not split_pattern(&split, pattern, pattern_length):
        return False
    reached = skip_many(&split, 1)
    while reached and next_word(&word):
        moved = 0
        for i in range(split.count):
            if reached >> i & 1 and word_fits(&split.words[i], &word):
                moved |= <uint64_t>1 << i
        taking |= moved & split.open
        reached = skip_many(&split, (moved & ~split.open | taking) << 1)
    return reached >> split.count & 1


# ---- growing arrays --------------------------------------------------------------------------------------------------

cdef int reserve_matches(Matches *matches, size_t more) noexcept nogil:
    cdef size_t capacity = matches.capacity if matches.capacity else 16
    cdef void *items
    while capacity < matches.count + more:
        capacity *= 2
    if capacity != matches.capacity:
        items = realloc(matches.items, capacity * sizeof(void *))
        if items == NULL:
            return -1
        matches.items = <void **>items
        matches.capacity = capacity
    return 0


cdef void matches_free(Matches *matches) noexcept nogil:
    free(matches.items)
    memset(matches, 0, sizeof(Matches))


cdef int grow_ids(Ids *ids) noexcept nogil:
    cdef size_t capacity = ids.capacity * 2 if ids.capacity else 32
    cdef void *items = realloc(ids.items, capacity * sizeof(uint32_t))
    if items == NULL:
        return -1
    ids.items = <uint32_t *>items
    ids.capacity = capacity
    return 0


cdef inline int push(Ids *ids, uint32_t id) noexcept nogil:
    if ids.count == ids.capacity and grow_ids(ids) < 0:
        return -1
    ids.items[ids.count] = id
    ids.count += 1
    return 0


# ---- nodes -----------------------------------------------------------------------------------------------------------

cdef inline const char *label_of(const Node *node) noexcept nogil:
    if node.length > NEAR:
        return node.label.far
    return node.label.near


cdef int set_label(Tree *tree, Node *node, const Words *word) noexcept nogil:
    cdef char *label = &node.label.near[0]
    if word.length > NEAR:
        label = <char *>malloc(word.length)
        if label == NULL:
            return -1
        node.label.far = label
        tree.heap += word.length
    memcpy(label, word.text, word.length)
    node.length = <uint16_t>word.length
    return 0


cdef int grow_nodes(Tree *tree) noexcept nogil:
    # Only by half: there may be millions.
    cdef uint64_t capacity = tree.node_capacity + tree.node_capacity // 2 + NODES_MIN
    cdef void *nodes
    if capacity > NODES_MAX:
        return -1
    nodes = realloc(tree.nodes, capacity * sizeof(Node))
    if nodes == NULL:
        return -1
    tree.nodes = <Node *>nodes
    tree.node_capacity = <uint32_t>capacity
    if tree.node_end == ROOT:
        memset(&tree.nodes[ROOT], 0, sizeof(Node))
        tree.node_end = ROOT + 1
    return 0


cdef uint32_t take_node(Tree *tree) noexcept nogil:
    """A zeroed node, or ROOT when there is no memory."""
    cdef uint32_t id = tree.free_node
    if id:
        tree.free_node = tree.nodes[id].parent
    else:
        if tree.node_end == tree.node_capacity and grow_nodes(tree) < 0:
            return ROOT
        id = tree.node_end
        tree.node_end += 1
    memset(&tree.nodes[id], 0, sizeof(Node))
    tree.node_count += 1
    return id


cdef void give_node_back(Tree *tree, uint32_t id) noexcept nogil:
    cdef Node *node = &tree.nodes[id]
    if node.length > NEAR:
        free(node.label.far)
        tree.heap -= node.length
    node.length = 0
    node.parent = tree.free_node
    tree.free_node = id
    tree.node_count -= 1


# ---- edges -----------------------------------------------------------------------------------------------------------

cdef inline uint32_t edge_hash(const Tree *tree, uint32_t parent, uint8_t way, uint64_t word_hash) noexcept nogil:
    return <uint32_t>hash_fold(word_hash ^ (<uint64_t>parent << 8 | way), tree.seed)


cdef inline size_t edge_home(const Tree *tree, uint32_t hash) noexcept nogil:
    return hash >> (32 - tree.edge_bits)


cdef inline size_t edge_mask(const Tree *tree) noexcept nogil:
    return (<size_t>1 << tree.edge_bits) - 1


cdef inline size_t edge_distance(const Tree *tree, size_t index) noexcept nogil:
    return (index - edge_home(tree, tree.edges[index].hash)) & edge_mask(tree)


cdef inline bint is_child(const Tree *tree, uint32_t id, uint32_t parent, uint8_t way,
                          const Words *word) noexcept nogil:
    cdef const Node *node = &tree.nodes[id]
    return (node.parent == parent and node.way == way and node.length == word.length
            and memcmp(label_of(node), word.text, word.length) == 0)


cdef uint32_t find_edge(const Tree *tree, uint32_t parent, uint8_t way, const Words *word,
                        uint64_t word_hash) noexcept nogil:
    """The child, or ROOT; the parent must have an edge."""
    cdef uint32_t hash = edge_hash(tree, parent, way, word_hash)
    cdef size_t mask = edge_mask(tree), index = edge_home(tree, hash), distance = 0
    cdef Edge edge = tree.edges[index]
    while edge.child:
        if edge.hash == hash and is_child(tree, edge.child, parent, way, word):
            return edge.child
        if edge_distance(tree, index) < distance:
            return ROOT
        distance += 1
        index = (index + 1) & mask
        edge = tree.edges[index]
    return ROOT


cdef void place_edge(Tree *tree, Edge edge) noexcept nogil:
    """There must be room. Who is nearer to home makes way."""
    cdef size_t mask = edge_mask(tree), index = edge_home(tree, edge.hash), distance = 0, theirs
    cdef Edge moved
    while tree.edges[index].child:
        theirs = edge_distance(tree, index)
        if theirs < distance:
            moved = tree.edges[index]
            tree.edges[index] = edge
            edge = moved
            distance = theirs
        distance += 1
        index = (index + 1) & mask
    tree.edges[index] = edge


cdef int resize_edges(Tree *tree, uint32_t bits) noexcept nogil:
    cdef Edge *old = tree.edges
    cdef size_t i, old_room = edge_mask(tree) + 1 if old != NULL else 0
    cdef void *edges = calloc(<size_t>1 << bits, sizeof(Edge)) if bits <= EDGE_BITS_MAX else NULL
    if edges == NULL:
        return -1
    tree.edges = <Edge *>edges
    tree.edge_bits = bits
    for i in range(old_room):
        if old[i].child:
            place_edge(tree, old[i])
    free(old)
    return 0


cdef int reserve_edge(Tree *tree) noexcept nogil:
    cdef size_t room
    if tree.edges == NULL:
        return resize_edges(tree, EDGE_BITS_MIN)
    room = edge_mask(tree) + 1
    return 0 if tree.edge_count < room - room // 8 else resize_edges(tree, tree.edge_bits + 1)


cdef uint32_t hash_of_node(const Tree *tree, const Node *node) noexcept nogil:
    return edge_hash(tree, node.parent, node.way, hash_bytes(label_of(node), node.length, tree.seed))


cdef int add_edge(Tree *tree, uint32_t child) noexcept nogil:
    cdef Edge edge
    if reserve_edge(tree) < 0:
        return -1
    edge.hash = hash_of_node(tree, &tree.nodes[child])
    edge.child = child
    place_edge(tree, edge)
    tree.edge_count += 1
    return 0


cdef void remove_edge(Tree *tree, uint32_t child) noexcept nogil:
    cdef size_t mask = edge_mask(tree), hole = edge_home(tree, hash_of_node(tree, &tree.nodes[child])), next
    while tree.edges[hole].child != child:
        hole = (hole + 1) & mask
    next = (hole + 1) & mask
    while tree.edges[next].child and edge_distance(tree, next) > 0:
        tree.edges[hole] = tree.edges[next]
        hole = next
        next = (next + 1) & mask
    tree.edges[hole].child = 0
    tree.edge_count -= 1
    if tree.edge_bits > EDGE_BITS_MIN and tree.edge_count < (mask + 1) // 8:
        resize_edges(tree, tree.edge_bits - 1)  # without memory for it the table merely stays large


# ---- paths -----------------------------------------------------------------------------------------------------------

cdef inline bint is_wild(uint8_t way) noexcept nogil:
    return STAR <= way and way < WHOLE


cdef inline Words whole(const char *name, size_t length) noexcept nogil:
    cdef Words word = words_of(name, length)
    word.text = name
    word.length = length
    return word


cdef uint32_t find_child(Tree *tree, uint32_t parent, uint8_t way, const Words *word) noexcept nogil:
    cdef Node *node = &tree.nodes[parent]
    if is_wild(way):
        return node.wild[way - STAR]
    if node.edge_count == 0:
        return ROOT
    return find_edge(tree, parent, way, word, hash_bytes(word.text, word.length, tree.seed))


cdef int link_child(Tree *tree, uint32_t child, const Words *word) noexcept nogil:
    cdef Node *node = &tree.nodes[child]
    if is_wild(node.way):
        tree.nodes[node.parent].wild[node.way - STAR] = child
        return 0
    if set_label(tree, node, word) < 0 or add_edge(tree, child) < 0:
        return -1
    tree.nodes[node.parent].edge_count += 1
    return 0


cdef void unlink_child(Tree *tree, uint32_t child) noexcept nogil:
    cdef Node *node = &tree.nodes[child]
    if is_wild(node.way):
        tree.nodes[node.parent].wild[node.way - STAR] = 0
    else:
        remove_edge(tree, child)
        tree.nodes[node.parent].edge_count -= 1


cdef uint32_t make_child(Tree *tree, uint32_t parent, uint8_t way, const Words *word) noexcept nogil:
    """The child, new or not; ROOT when there is no memory."""
    cdef uint32_t child = find_child(tree, parent, way, word)
    if child != ROOT:
        return child
    child = take_node(tree)
    if child == ROOT:
        return ROOT
    tree.nodes[child].parent = parent
    tree.nodes[child].way = way
    if link_child(tree, child, word) < 0:
        give_node_back(tree, child)
        return ROOT
    return child


cdef uint32_t make_path(Tree *tree, const char *pattern, size_t length) noexcept nogil:
    """The node where a pattern ends, made as far as it is not there; ROOT when there is no memory."""
    cdef Words word = whole(pattern, length)
    cdef uint32_t node = ROOT, child
    if tree.nodes == NULL and grow_nodes(tree) < 0:
        return ROOT
    if not is_pattern(pattern, length):
        node = make_child(tree, ROOT, WHOLE, &word)
        if node == ROOT:
            prune(tree, ROOT)
        return node
    while next_word(&word):
        child = make_child(tree, node, way_of(&word), &word)
        if child == ROOT:
            prune(tree, node)
            return ROOT
        node = child
    return node


cdef inline bint is_bare(const Node *node) noexcept nogil:
    return (node.entry_count == 0 and node.edge_count == 0 and node.wild[0] == 0 and node.wild[1] == 0
            and node.wild[2] == 0 and node.wild[3] == 0 and node.wild[4] == 0 and node.wild[5] == 0)


cdef void prune(Tree *tree, uint32_t id) noexcept nogil:
    cdef uint32_t parent
    while id != ROOT and is_bare(&tree.nodes[id]):
        parent = tree.nodes[id].parent
        unlink_child(tree, id)
        give_node_back(tree, id)
        id = parent
    if tree.node_count == 0:
        free_arrays(tree)


cdef void free_arrays(Tree *tree) noexcept nogil:
    """What an empty trie need not keep; the next insert begins anew."""
    free(tree.nodes)
    free(tree.edges)
    free(tree.active.items)
    free(tree.coming.items)
    tree.nodes = NULL
    tree.edges = NULL
    tree.node_end = tree.node_capacity = tree.free_node = tree.edge_bits = 0
    memset(&tree.active, 0, sizeof(Ids))
    memset(&tree.coming, 0, sizeof(Ids))


# ---- entries ---------------------------------------------------------------------------------------------------------

cdef inline TrieEntry **owners_of(Node *node) noexcept nogil:
    """The entries that the values in node.entries.many belong to."""
    return <TrieEntry **>(node.entries.many + (<size_t>1 << node.entries_bits))


cdef inline void set_entry(Node *node, uint32_t slot, TrieEntry *entry) noexcept nogil:
    entry.slot = slot
    if node.entries_bits == 0:
        node.entries.one = entry
    else:
        node.entries.many[slot] = entry.value
        owners_of(node)[slot] = entry


cdef inline TrieEntry *get_entry(Node *node, uint32_t slot) noexcept nogil:
    return owners_of(node)[slot] if node.entries_bits else node.entries.one


cdef inline size_t entries_size(uint8_t bits) noexcept nogil:
    return 2 * sizeof(void *) << bits if bits else 0


cdef int resize_entries(Tree *tree, Node *node, uint8_t bits) noexcept nogil:
    """From and to any size that holds them; 0 bits is the place in the node itself."""
    cdef Node old = node[0]
    cdef size_t used = node.entry_count * sizeof(void *)
    if bits:
        node.entries.many = <void **>malloc(entries_size(bits))
        if node.entries.many == NULL:
            node.entries = old.entries
            return -1
    node.entries_bits = bits
    if bits and old.entries_bits:
        memcpy(node.entries.many, old.entries.many, used)
        memcpy(owners_of(node), owners_of(&old), used)
    elif node.entry_count:
        set_entry(node, 0, get_entry(&old, 0))
    if old.entries_bits:
        free(old.entries.many)
    tree.heap += entries_size(bits) - entries_size(old.entries_bits)
    return 0


cdef int attach(Tree *tree, uint32_t id, TrieEntry *entry) noexcept nogil:
    cdef Node *node = &tree.nodes[id]
    if node.entry_count == <uint32_t>1 << node.entries_bits:
        if node.entries_bits == 31 or resize_entries(tree, node, node.entries_bits + 1) < 0:
            return -1
    set_entry(node, node.entry_count, entry)
    entry.node = id
    node.entry_count += 1
    tree.entry_count += 1
    return 0


cdef void detach(Tree *tree, TrieEntry *entry) noexcept nogil:
    """The last entry takes its slot."""
    cdef Node *node = &tree.nodes[entry.node]
    node.entry_count -= 1
    tree.entry_count -= 1
    set_entry(node, entry.slot, get_entry(node, node.entry_count))
    entry.node = 0
    if node.entries_bits and node.entry_count <= (<uint32_t>1 << node.entries_bits) // 4:
        # Down to half full. Without memory for it the array merely stays large.
        resize_entries(tree, node, node.entries_bits - 1 if node.entry_count > 1 else 0)


# ---- matching --------------------------------------------------------------------------------------------------------

cdef int emit(Node *node, Matches *out) noexcept nogil:
    if out.count + node.entry_count > out.capacity and reserve_matches(out, node.entry_count) < 0:
        return -1
    if node.entries_bits:
        memcpy(out.items + out.count, node.entries.many, node.entry_count * sizeof(void *))
    elif node.entry_count:
        out.items[out.count] = node.entries.one.value
    out.count += node.entry_count
    return 0


cdef inline int collect_many(Tree *tree, uint32_t child) noexcept nogil:
    """Unless it was collected for this word already."""
    cdef Label *label = &tree.nodes[child & ID_BITS].label
    if label.seen == tree.clock:
        return 0
    label.seen = tree.clock
    return push(&tree.coming, child)


cdef inline int emit_rest(Tree *tree, uint32_t child, uint64_t began, Matches *out) noexcept nogil:
    """'>' takes all that follows, so its entries match; two ways may lead here, the first counts."""
    cdef Label *label = &tree.nodes[child].label
    if label.seen >= began:
        return 0
    label.seen = tree.clock
    return emit(&tree.nodes[child], out)


cdef int collect_children(Tree *tree, uint32_t id, uint8_t separator, const Words *word, uint64_t word_hash,
                          uint64_t began, Matches *out) noexcept nogil:
    """The children that this word leads to, behind this separator."""
    cdef Node *node = &tree.nodes[id]
    cdef uint32_t child
    if node.edge_count:
        child = find_edge(tree, id, WORD | separator, word, word_hash)
        if child and push(&tree.coming, child) < 0:
            return -1
    child = node.wild[separator]
    if child and push(&tree.coming, child) < 0:
        return -1
    child = node.wild[REST - STAR + separator]
    if child and emit_rest(tree, child, began, out) < 0:
        return -1
    return 0


cdef inline bint takes_another(const Node *node, uint32_t active, uint8_t separator) noexcept nogil:
    if node.way != MANY | DOT and node.way != MANY | SLASH:
        return False
    return active & TOOK or meets(node.way - MANY, separator)


cdef int step(Tree *tree, const Words *word, uint64_t began, Matches *out) noexcept nogil:
    """From the active nodes to those that one more word leads to."""
    cdef uint64_t word_hash = hash_bytes(word.text, word.length, tree.seed)
    cdef uint8_t first = DOT if word.separator == ANY else word.separator
    cdef uint8_t last = SLASH if word.separator == ANY else word.separator
    cdef uint8_t separator
    cdef uint32_t active, id
    cdef size_t i
    tree.coming.count = 0
    for i in range(tree.active.count):
        active = tree.active.items[i]
        id = active & ID_BITS
        if takes_another(&tree.nodes[id], active, word.separator) and collect_many(tree, id | TOOK) < 0:
            return -1
        for separator in range(first, last + 1):
            if collect_children(tree, id, separator, word, word_hash, began, out) < 0:
                return -1
    return 0


cdef int collect_waiting(Tree *tree) noexcept nogil:
    """Every MANY below a collected node is reached by taking nothing, and those below it in turn."""
    cdef size_t i = 0
    cdef Node *node
    cdef uint32_t child
    cdef uint8_t separator
    while i < tree.coming.count:
        node = &tree.nodes[tree.coming.items[i] & ID_BITS]
        for separator in range(DOT, SLASH + 1):
            child = node.wild[MANY - STAR + separator]
            if child and collect_many(tree, child) < 0:
                return -1
        i += 1
    return 0


cdef inline void activate(Tree *tree) noexcept nogil:
    cdef Ids done = tree.active
    tree.active = tree.coming
    tree.coming = done


cdef int emit_whole(Tree *tree, const char *name, size_t length, Matches *out) noexcept nogil:
    cdef Words word = whole(name, length)
    cdef uint32_t child = find_child(tree, ROOT, WHOLE, &word)
    return emit(&tree.nodes[child], out)  # ROOT has no entries


cdef int walk(Tree *tree, const char *name, size_t length, Matches *out) noexcept nogil:
    cdef Words word = words_of(name, length)
    cdef uint64_t began = tree.clock + 1
    cdef size_t i
    tree.clock = began
    tree.coming.count = 0
    if push(&tree.coming, ROOT) < 0 or collect_waiting(tree) < 0:
        return -1
    activate(tree)
    while tree.active.count and next_word(&word):
        tree.clock += 1
        if step(tree, &word, began, out) < 0 or collect_waiting(tree) < 0:
            return -1
        activate(tree)
    for i in range(tree.active.count):
        if emit(&tree.nodes[tree.active.items[i] & ID_BITS], out) < 0:
            return -1
    return 0


@cython.final
cdef class Trie:
    """Patterns with values, for the compiled half; Python uses PatternTable."""

    def __cinit__(self):
        self.tree = <Tree *>calloc(1, sizeof(Tree))
        if self.tree == NULL:
            raise MemoryError
        self.tree.seed = hash_seed(int.from_bytes(os.urandom(8), "little"))

    def __dealloc__(self):
        cdef uint32_t id
        if self.tree == NULL:
            return
        for id in range(1, self.tree.node_end):
            if self.tree.nodes[id].entries_bits:
                free(self.tree.nodes[id].entries.many)
            if self.tree.nodes[id].length > NEAR:
                free(self.tree.nodes[id].label.far)
        free_arrays(self.tree)
        free(self.tree)

    cdef int insert(self, const char *pattern, size_t length, TrieEntry *entry) except -1:
        cdef const char *reason = pattern_error(pattern, length, LEVELS_MAX)
        cdef uint32_t node
        if reason != NULL:
            raise ValueError(reason.decode())
        node = make_path(self.tree, pattern, length)
        if node == ROOT:
            raise MemoryError
        if attach(self.tree, node, entry) < 0:
            prune(self.tree, node)
            raise MemoryError
        self.generation += 1
        return 0

    cdef void remove(self, TrieEntry *entry) noexcept:
        cdef uint32_t node = entry.node
        if node == 0:
            return
        detach(self.tree, entry)
        prune(self.tree, node)
        self.generation += 1

    cdef int match(self, const char *name, size_t length, Matches *out) except -1:
        cdef size_t before = out.count
        if self.tree.nodes != NULL and (
                emit_whole(self.tree, name, length, out) < 0 or walk(self.tree, name, length, out) < 0):
            out.count = before
            raise MemoryError
        return 0

    def __len__(self):
        return self.tree.entry_count

    @property
    def node_count(self):
        """Nodes in use: one for each word of the patterns, beginnings shared."""
        return self.tree.node_count

    @property
    def memory(self):
        """Bytes of nodes, edges, words and lists of entries; the entries themselves belong to their owners."""
        cdef Tree *tree = self.tree
        return (sizeof(Tree) + tree.heap + tree.node_capacity * sizeof(Node)
                + (edge_mask(tree) + 1) * sizeof(Edge) * (tree.edges != NULL)
                + (tree.active.capacity + tree.coming.capacity) * sizeof(uint32_t))


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
        memset(&matches, 0, sizeof(Matches))
        try:
            self.trie.match(name, len(name), &matches)
            return [(<PatternEntry>matches.items[i]).value for i in range(matches.count)]
        finally:
            matches_free(&matches)

    def count(self, bytes name not None):
        self._counted.count = 0
        self.trie.match(name, len(name), &self._counted)
        return self._counted.count

    def __len__(self):
        return len(self.trie)


def has_wildcard(bytes name not None):
    return is_pattern(name, len(name))


def check_pattern(bytes pattern not None, int max_levels=32):
    cdef const char *reason = pattern_error(pattern, len(pattern), max_levels)
    return None if reason == NULL else reason.decode()


def matches_pattern(bytes pattern not None, bytes name not None):
    return pattern_matches(pattern, len(pattern), name, len(name))
