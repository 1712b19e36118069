/* Paths: how a pattern becomes nodes, and comes to an end.
 *
 * Patterns with a wildcard share their beginnings; a pattern without one is a single child of the root, known by all
 * its bytes. Here a.*, a.#.z, a/X, b.c and a.b.*.*.#.*.z (numbers are node ids, 1 is the root):
 *
 *     (1) ══a══> (2) ──.*──> (3)                        ══  edge, found by its bytes
 *      ║          ║│ ──.#──> (4) ══.z══> (5)            ──  wild, an id in the parent
 *      ║          ║└──/X──> (6)
 *      ║          ╚══.b══> (8) ──.*──> (9) ──.*──> (10) ──tails──> (11) ══.#.*.z══> (12)
 *      ╚══b.c══> (7)
 *
 * Every wildcard weighs what it multiplies the ways through a name by: '*' one, '#' two, because it ends anywhere and
 * can begin anywhere; at the very end none, for what it takes there is not looked at. Behind a weight of WALKED only
 * plain words are walked, the rest is a tail (csrc/tails.h). So, however many patterns there are, the first i words of
 * a name lead to at most 1 + i + i(i-1)/2 nodes by '*' and (i+1)(i+4)/2 by '#': with 32 words some 13,000 in all.
 */
#ifndef FASTBROKER_PATHS_H
#define FASTBROKER_PATHS_H

#include "csrc/tails.h"

enum {
    WALKED = 2,
    PATTERN_SPACE = LEVELS_MAX * (WORD_LENGTH_MAX + 1) /* bytes of the longest pattern, and a separator more */
};

static inline int weight_of(const Words *word) {
    int kind = kind_of(word);
    return kind == WORD_STAR ? 1 : kind == WORD_MANY && word->next != NULL ? 2 : 0;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* Takes away what nobody needs any longer, from a node towards the root. */
static inline void prune(Nodes *nodes, uint32_t id) {
    while (id != ROOT) {
        Node *node = node_at(nodes, id);
        uint32_t parent = node->parent;
        if (node->entries == 0 && has_row(node))
            tail_remove(nodes, id);
        if (!is_bare(node))
            return;
        unlink_child(nodes, id);
        give_node_back(nodes, id);
        id = parent;
    }
    if (nodes->count == 0)
        nodes_end(nodes);
}

/* ---- the beginning ---------------------------------------------------------------------------------------------- */

/* Writes a tail from this word on, ** as #; returns how long it is. */
static inline size_t write_tail(Words word, char *out) {
    char *to = out;
    do {
        int many = kind_of(&word) == WORD_MANY;
        size_t length = many ? 1 : word.length;
        *to++ = separator_of(&word) == SEPARATOR_SLASH ? '/' : '.';
        memcpy(to, many ? "#" : word.text, length);
        to += length;
    } while (next_word(&word));
    return (size_t)(to - out);
}

static inline int descend(Nodes *nodes, uint32_t *node, int way, const char *text, size_t length) {
    uint32_t child = make_child(nodes, *node, (unsigned)way, text, length);
    if (child == NOWHERE)
        return -1;
    *node = child;
    return 0;
}

static inline int descend_to_tail(Nodes *nodes, uint32_t *node, Words word) {
    char text[PATTERN_SPACE];
    size_t length = write_tail(word, text);
    if (descend(nodes, node, WAY_TAILS, NULL, 0) < 0 || descend(nodes, node, WAY_WHOLE, text, length) < 0)
        return -1;
    return has_row(node_at(nodes, *node)) ? 0 : tail_add(nodes, *node);
}

static inline int descend_by_words(Nodes *nodes, uint32_t *node, Words word) {
    int weight = 0;
    while (next_word(&word)) {
        weight += weight_of(&word);
        if (weight > WALKED)
            return descend_to_tail(nodes, node, word);
        if (descend(nodes, node, kind_of(&word) | separator_of(&word), word.text, word.length) < 0)
            return -1;
    }
    return 0;
}

/* The node where a pattern ends, made as far as it is not there; NOWHERE when there is no memory. */
static inline uint32_t make_path(Nodes *nodes, const char *pattern, size_t length) {
    uint32_t node = ROOT;
    int failed;
    if (nodes_begin(nodes) < 0)
        return NOWHERE;
    failed = is_pattern(pattern, length) ? descend_by_words(nodes, &node, words_of(pattern, length))
                                         : descend(nodes, &node, WAY_WHOLE, pattern, length);
    if (!failed)
        return node;
    prune(nodes, node);
    return NOWHERE;
}

/* Everything, whoever is still there. */
static inline void paths_free(Nodes *nodes) {
    for (int32_t at = 0; at < nodes->chunk_end; at++) {
        uint32_t end = nodes->chunks[at] != NULL ? nodes->chunks[at]->head.fresh : 0;
        for (uint32_t place = 1; place < end; place++) {
            Node *node = &nodes->chunks[at][place].node;
            free_label(nodes, node);
            if (node->way == WAY_TAILS)
                shelves_free(&nodes->charge, node);
            else
                entries_free(&nodes->charge, node->entries);
        }
    }
    nodes_end(nodes);
}

/* ---- and back --------------------------------------------------------------------------------------------------- */

/* Writes the pattern that ends at a node, ** as #, into PATTERN_SPACE bytes; returns how long it is. */
static inline size_t path_text(const Nodes *nodes, uint32_t id, char *out) {
    size_t at = PATTERN_SPACE;
    while (id != ROOT) {
        const Node *node = node_at(nodes, id);
        int wild = node->way >= WORD_STAR && node->way < WAY_TAILS;
        size_t length = wild ? 1 : node->length;
        at -= length;
        memcpy(out + at, wild ? &"*#>"[node->way / 2 - 1] : label_of(node), length);
        if (node->way < WAY_TAILS && node->parent != ROOT)
            out[--at] = node->way & SEPARATOR_SLASH ? '/' : '.';
        id = node->parent;
    }
    memmove(out, out + at, PATTERN_SPACE - at);
    return PATTERN_SPACE - at;
}

#endif
