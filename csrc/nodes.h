/* Nodes: the places of a trie, and the edges between them.
 *
 *     nodes   64 bytes each, 63 to a chunk of 4 KiB behind its head; an id says which chunk and which place in it.
 *             A chunk none of whose nodes is in use is given back. Chunks with room for more make a list; the newest
 *             of it gives the next.
 *
 *                        ┌──────┬──────┬──────┬─────          head   nodes in use, the first of the free ones,
 *             id >> 6 ─> │ head │ node │ node │ ...                  where those begin that were never used, list
 *                        └──────┴──────┴──────┴─────
 *                           0      1      2  <─ id & 63
 *
 *             ┌ parent, way (what the last word is, and the separator in front of it)
 *             │ label: the bytes of a plain word, or of all that is left; longer than 16 bytes they are elsewhere
 *             │ wild: the children found by number: * # > behind '.' and '/', and the tails (csrc/tails.h)
 *             └ entries: the values at this place (csrc/entries.h)
 *
 *     edges   ONE hash table for all nodes: (parent, way, bytes) -> child
 *
 *             ┌──────┬───────┬──────┬───────┬───
 *             │ hash │ child │ hash │ child │ ...   8 bytes each, child 0 = free. The key is not here but in the child.
 *             └──────┴───────┴──────┴───────┴───
 *
 * So a node with 100,000 children costs no more than one with two. An edge stands at the home that its hash gives it,
 * or behind it in the order of homes, as in csrc/table.h; the hash takes a secret seed, because clients choose the
 * words.
 */
#ifndef FASTBROKER_NODES_H
#define FASTBROKER_NODES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "csrc/entries.h"
#include "csrc/pattern.h"
#include "csrc/table.h"

enum { WAY_TAILS = 8, WAY_WHOLE = 10 }; /* beside the kinds of words: what cannot be walked; all that is left */

enum {
    NOWHERE = 0,
    ROOT = 1,
    NEAR = 16, /* bytes of a word kept in its node */
    WILD_COUNT = WAY_TAILS - WORD_STAR + 1,
    CHUNK_BITS = 6,
    CHUNK_NODES = 1 << CHUNK_BITS, /* the first is the head */
    CHUNKS_MAX = 1 << 25,
    NO_CHUNK = -1,
    EDGE_BITS_MIN = 4,
    EDGE_BITS_MAX = 31
};

typedef union Label {
    char near[NEAR];
    char *far;
    struct {             /* of what is no plain word */
        uint64_t seen;   /* the tick at which a match came by last */
        uint64_t starts; /* of tails: the places in the name at which it did */
    } passed;
} Label;

struct TailShelves;

typedef struct Node {
    uint32_t parent; /* of a free node: the next free one of its chunk */
    uint16_t length; /* bytes of the label */
    uint8_t way;     /* from the parent to here */
    Label label;
    union {
        Entries entries;
        struct TailShelves *shelves; /* of tails */
    };
    uint32_t edge_count; /* children found by their bytes */
    union {
        uint32_t wild[WILD_COUNT]; /* the other children: way - WORD_STAR -> child */
        uint32_t row;              /* of one tail: its place on its shelf, counted from 1 */
    };
} Node;

typedef struct ChunkHead {
    uint32_t used;
    uint32_t free;  /* id of the first of the list, or NOWHERE */
    uint32_t fresh; /* places from here on were never used */
    int32_t next, previous; /* in the list of chunks with room */
} ChunkHead;

typedef union ChunkPlace {
    ChunkHead head;
    Node node;
} ChunkPlace;

typedef struct Edge {
    uint32_t hash;
    uint32_t child;
} Edge;

/* Zeroed, with a seed, before its first use; an empty one takes no memory. */
typedef struct Nodes {
    uint64_t seed;
    ChunkPlace **chunks;
    Edge *edges;
    uint32_t edge_count;
    uint32_t edge_bits; /* there are places for 1 << edge_bits */
    uint32_t count;     /* in use, without the root */
    int32_t chunk_room, chunk_end; /* chunks there is room to point to; from where on there is none */
    int32_t with_room;  /* the first chunk of the list */
    int32_t gap;        /* no chunk before this one is missing */
    Charge charge;
} Nodes;

typedef struct Found {
    Node *node;
    uint32_t id;
} Found;

static inline Node *node_at(const Nodes *nodes, uint32_t id) {
    return &nodes->chunks[id >> CHUNK_BITS][id & (CHUNK_NODES - 1)].node;
}

/* ---- chunks ----------------------------------------------------------------------------------------------------- */

static inline void list_chunk(Nodes *nodes, int32_t at) {
    ChunkHead *head = &nodes->chunks[at]->head;
    head->previous = NO_CHUNK;
    head->next = nodes->with_room;
    if (head->next != NO_CHUNK)
        nodes->chunks[head->next]->head.previous = at;
    nodes->with_room = at;
}

static inline void unlist_chunk(Nodes *nodes, int32_t at) {
    ChunkHead *head = &nodes->chunks[at]->head;
    if (head->next != NO_CHUNK)
        nodes->chunks[head->next]->head.previous = head->previous;
    if (head->previous != NO_CHUNK)
        nodes->chunks[head->previous]->head.next = head->next;
    else
        nodes->with_room = head->next;
}

static inline int grow_chunk_list(Nodes *nodes) {
    int32_t room = nodes->chunk_room ? 2 * nodes->chunk_room : 16;
    ChunkPlace **chunks = room > CHUNKS_MAX ? NULL
        : (ChunkPlace **)realloc(nodes->chunks, (size_t)room * sizeof *chunks);
    if (chunks == NULL)
        return -1;
    charge(&nodes->charge, (int64_t)sizeof *chunks * (room - nodes->chunk_room));
    nodes->chunks = chunks;
    nodes->chunk_room = room;
    return 0;
}

static inline int add_chunk(Nodes *nodes) {
    ChunkPlace *chunk;
    int32_t at = nodes->gap;
    while (at < nodes->chunk_end && nodes->chunks[at] != NULL)
        at++;
    if (at == nodes->chunk_room && grow_chunk_list(nodes) < 0)
        return -1;
    chunk = (ChunkPlace *)aligned_alloc(sizeof *chunk, CHUNK_NODES * sizeof *chunk); /* a node is a cache line */
    if (chunk == NULL)
        return -1;
    charge(&nodes->charge, heap_size(CHUNK_NODES * sizeof *chunk));
    memset(chunk, 0, sizeof *chunk);
    chunk->head.fresh = 1;
    nodes->chunks[at] = chunk;
    nodes->gap = at + 1;
    if (nodes->chunk_end == at)
        nodes->chunk_end = at + 1;
    list_chunk(nodes, at);
    return 0;
}

static inline void drop_chunk(Nodes *nodes, int32_t at) {
    unlist_chunk(nodes, at);
    heap_give(&nodes->charge, nodes->chunks[at], CHUNK_NODES * sizeof(ChunkPlace));
    nodes->chunks[at] = NULL;
    if (nodes->gap > at)
        nodes->gap = at;
}

/* A zeroed node, or NOWHERE when there is no memory. */
static inline uint32_t take_place(Nodes *nodes) {
    ChunkHead *head;
    uint32_t id;
    if (nodes->with_room == NO_CHUNK && add_chunk(nodes) < 0)
        return NOWHERE;
    head = &nodes->chunks[nodes->with_room]->head;
    id = head->free;
    if (id != NOWHERE)
        head->free = node_at(nodes, id)->parent;
    else
        id = (uint32_t)nodes->with_room << CHUNK_BITS | head->fresh++;
    if (++head->used == CHUNK_NODES - 1)
        unlist_chunk(nodes, nodes->with_room);
    memset(node_at(nodes, id), 0, sizeof(Node));
    return id;
}

static inline void give_place(Nodes *nodes, uint32_t id) {
    int32_t at = (int32_t)(id >> CHUNK_BITS);
    ChunkHead *head = &nodes->chunks[at]->head;
    if (head->used == CHUNK_NODES - 1)
        list_chunk(nodes, at);
    node_at(nodes, id)->parent = head->free;
    head->free = id;
    if (--head->used == 0)
        drop_chunk(nodes, at);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

static inline const char *label_of(const Node *node) {
    return node->length > NEAR ? node->label.far : node->label.near;
}

static inline int has_label(const Node *node) {
    return node->way < WORD_STAR || node->way == WAY_WHOLE;
}

/* What an empty trie need not keep; the next insert begins anew. */
static inline void nodes_end(Nodes *nodes) {
    for (int32_t at = 0; at < nodes->chunk_end; at++)
        if (nodes->chunks[at] != NULL)
            heap_give(&nodes->charge, nodes->chunks[at], CHUNK_NODES * sizeof(ChunkPlace));
    charge(&nodes->charge, -(int64_t)sizeof *nodes->chunks * nodes->chunk_room);
    if (nodes->edges != NULL)
        heap_give(&nodes->charge, nodes->edges, sizeof(Edge) << nodes->edge_bits);
    free(nodes->chunks);
    nodes->chunks = NULL;
    nodes->edges = NULL;
    nodes->chunk_room = nodes->chunk_end = nodes->gap = 0;
    nodes->edge_bits = nodes->edge_count = nodes->count = 0;
}

/* Sees to it that there is a root. -1: no memory. */
static inline int nodes_begin(Nodes *nodes) {
    if (nodes->chunks != NULL)
        return 0;
    nodes->with_room = NO_CHUNK;
    if (take_place(nodes) == ROOT)
        return 0;
    nodes_end(nodes);
    return -1;
}

static inline int set_label(Nodes *nodes, Node *node, const char *text, size_t length) {
    char *label = node->label.near;
    if (length > NEAR) {
        label = (char *)heap_take(&nodes->charge, length);
        if (label == NULL)
            return -1;
        node->label.far = label;
    }
    memcpy(label, text, length);
    node->length = (uint16_t)length;
    return 0;
}

static inline void free_label(Nodes *nodes, Node *node) {
    if (node->length > NEAR)
        heap_give(&nodes->charge, node->label.far, node->length);
    node->length = 0;
}

static inline void give_node_back(Nodes *nodes, uint32_t id) {
    free_label(nodes, node_at(nodes, id));
    give_place(nodes, id);
    nodes->count--;
}

static inline int is_bare(const Node *node) {
    return node->entries == 0 && (node->edge_count | node->wild[0] | node->wild[1] | node->wild[2] | node->wild[3]
                                  | node->wild[4] | node->wild[5] | node->wild[6]) == 0;
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static inline uint32_t edge_hash(const Nodes *nodes, uint32_t parent, unsigned way, uint64_t word_hash) {
    return (uint32_t)hash_fold(word_hash ^ ((uint64_t)parent << 8 | way), nodes->seed);
}

static inline size_t edge_home(const Nodes *nodes, uint32_t hash) {
    return hash >> (32 - nodes->edge_bits);
}

static inline size_t edge_mask(const Nodes *nodes) {
    return ((size_t)1 << nodes->edge_bits) - 1;
}

static inline size_t edge_distance(const Nodes *nodes, size_t index) {
    return (index - edge_home(nodes, nodes->edges[index].hash)) & edge_mask(nodes);
}

/* The child, or NOWHERE; the parent must have an edge. */
static inline Found find_edge(const Nodes *nodes, uint32_t parent, unsigned way, const char *text, size_t length,
                              uint64_t word_hash) {
    uint32_t hash = edge_hash(nodes, parent, way, word_hash);
    size_t mask = edge_mask(nodes), index = edge_home(nodes, hash);
    Found found = {NULL, NOWHERE};
    for (size_t distance = 0;; distance++, index = (index + 1) & mask) {
        Edge edge = nodes->edges[index];
        if (edge.child == NOWHERE || ((index - edge_home(nodes, edge.hash)) & mask) < distance)
            return found;
        if (edge.hash == hash) {
            Node *node = node_at(nodes, edge.child);
            if (node->parent == parent && node->way == way && node->length == length
                && memcmp(label_of(node), text, length) == 0) {
                found.node = node;
                found.id = edge.child;
                return found;
            }
        }
    }
}

/* There must be room. Who is nearer to home makes way. */
static inline void place_edge(Nodes *nodes, Edge edge) {
    size_t mask = edge_mask(nodes), index = edge_home(nodes, edge.hash), distance = 0;
    for (; nodes->edges[index].child != NOWHERE; distance++, index = (index + 1) & mask) {
        size_t theirs = edge_distance(nodes, index);
        if (theirs < distance) {
            Edge moved = nodes->edges[index];
            nodes->edges[index] = edge;
            edge = moved;
            distance = theirs;
        }
    }
    nodes->edges[index] = edge;
}

static inline int resize_edges(Nodes *nodes, uint32_t bits) {
    Edge *old = nodes->edges, *edges;
    size_t old_room = old != NULL ? edge_mask(nodes) + 1 : 0;
    edges = bits <= EDGE_BITS_MAX ? (Edge *)calloc((size_t)1 << bits, sizeof(Edge)) : NULL;
    if (edges == NULL)
        return -1;
    charge(&nodes->charge, heap_size(sizeof(Edge) << bits));
    nodes->edges = edges;
    nodes->edge_bits = bits;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].child != NOWHERE)
            place_edge(nodes, old[i]);
    if (old != NULL)
        heap_give(&nodes->charge, old, old_room * sizeof(Edge));
    return 0;
}

static inline int reserve_edge(Nodes *nodes) {
    size_t room = edge_mask(nodes) + 1;
    if (nodes->edges == NULL)
        return resize_edges(nodes, EDGE_BITS_MIN);
    return nodes->edge_count < room - room / 8 ? 0 : resize_edges(nodes, nodes->edge_bits + 1);
}

static inline uint32_t hash_of_node(const Nodes *nodes, const Node *node) {
    return edge_hash(nodes, node->parent, node->way, hash_bytes(label_of(node), node->length, nodes->seed));
}

static inline int add_edge(Nodes *nodes, uint32_t child) {
    Edge edge = {0, child};
    if (reserve_edge(nodes) < 0)
        return -1;
    edge.hash = hash_of_node(nodes, node_at(nodes, child));
    place_edge(nodes, edge);
    nodes->edge_count++;
    return 0;
}

static inline void remove_edge(Nodes *nodes, uint32_t child) {
    size_t mask = edge_mask(nodes), hole = edge_home(nodes, hash_of_node(nodes, node_at(nodes, child))), next;
    while (nodes->edges[hole].child != child)
        hole = (hole + 1) & mask;
    next = (hole + 1) & mask;
    while (nodes->edges[next].child != NOWHERE && edge_distance(nodes, next) > 0) {
        nodes->edges[hole] = nodes->edges[next];
        hole = next;
        next = (next + 1) & mask;
    }
    nodes->edges[hole].child = NOWHERE;
    nodes->edge_count--;
    if (nodes->edge_bits > EDGE_BITS_MIN && nodes->edge_count < (mask + 1) / 4)
        resize_edges(nodes, nodes->edge_bits - 1); /* without memory for it the table merely stays large */
}

/* ---- children --------------------------------------------------------------------------------------------------- */

static inline Found find_child(const Nodes *nodes, uint32_t parent, unsigned way, const char *text, size_t length) {
    Node *node = node_at(nodes, parent);
    Found found = {NULL, NOWHERE};
    if (way >= WORD_STAR && way <= WAY_TAILS)
        found.id = node->wild[way - WORD_STAR];
    else if (node->edge_count)
        return find_edge(nodes, parent, way, text, length, hash_bytes(text, length, nodes->seed));
    if (found.id != NOWHERE)
        found.node = node_at(nodes, found.id);
    return found;
}

static inline int link_child(Nodes *nodes, uint32_t child, const char *text, size_t length) {
    Node *node = node_at(nodes, child), *parent = node_at(nodes, node->parent);
    if (!has_label(node)) {
        parent->wild[node->way - WORD_STAR] = child;
        return 0;
    }
    if (set_label(nodes, node, text, length) < 0 || add_edge(nodes, child) < 0)
        return -1;
    parent->edge_count++;
    return 0;
}

static inline void unlink_child(Nodes *nodes, uint32_t child) {
    Node *node = node_at(nodes, child), *parent = node_at(nodes, node->parent);
    if (has_label(node)) {
        remove_edge(nodes, child);
        parent->edge_count--;
    } else {
        parent->wild[node->way - WORD_STAR] = NOWHERE;
    }
}

/* The child, new or not; NOWHERE when there is no memory. */
static inline uint32_t make_child(Nodes *nodes, uint32_t parent, unsigned way, const char *text, size_t length) {
    uint32_t child = find_child(nodes, parent, way, text, length).id;
    Node *node;
    if (child != NOWHERE)
        return child;
    child = take_place(nodes);
    if (child == NOWHERE)
        return NOWHERE;
    nodes->count++;
    node = node_at(nodes, child);
    node->parent = parent;
    node->way = (uint8_t)way;
    if (link_child(nodes, child, text, length) == 0)
        return child;
    give_node_back(nodes, child);
    return NOWHERE;
}

#endif
