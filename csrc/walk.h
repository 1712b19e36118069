/* Walk: a match, along all paths at once, word by word.
 *
 * `active` holds the nodes that the words so far lead to; those that one word more leads to are collected in `coming`;
 * then the two change places. A node has one way in, so it is collected once a word. Only '#' can be come to from its
 * parent and from itself: it notes the tick of the clock at which it was collected. Whatever takes all the rest of the
 * name ('>', and a '#' behind which nothing stands) goes no further. Tails that are come by are noted, with the place
 * in the name, and looked at in the end, each once.
 *
 * A match allocates nothing once the arrays have grown, and does not recurse. It counts its steps, of some 30
 * ns: a node that is come to, ROWS_A_STEP tails that are looked at, an STEPS_A_TAIL-th of one that is compared. The
 * values that are found are not counted.
 */
#ifndef FASTBROKER_WALK_H
#define FASTBROKER_WALK_H

#include "csrc/paths.h"

typedef struct Reached {
    Node *node;
    uint32_t id;
    uint32_t took; /* a MANY that took at least one word */
} Reached;

typedef struct ReachedNodes {
    Reached *items;
    size_t count, room;
} ReachedNodes;

/* Zeroed before its first use. */
typedef struct Walk {
    ReachedNodes active, coming;
    ReachedNodes ends;  /* every '#' that takes the rest */
    ReachedNodes tails;
    uint64_t clock; /* ticks once per word of every match */
    uint64_t began; /* the tick at which this match did */
    uint64_t steps; /* of all matches */
} Walk;

/* ---- what was reached ------------------------------------------------------------------------------------------- */

static inline int reached_grow(ReachedNodes *reached, Charge *account) {
    size_t room = reached->room ? 2 * reached->room : 32;
    Reached *items = (Reached *)realloc(reached->items, room * sizeof *items);
    if (items == NULL)
        return -1;
    charge(account, (int64_t)((room - reached->room) * sizeof *items));
    reached->items = items;
    reached->room = room;
    return 0;
}

static inline void reached_free(ReachedNodes *reached, Charge *account) {
    free(reached->items);
    charge(account, -(int64_t)(reached->room * sizeof *reached->items));
    memset(reached, 0, sizeof *reached);
}

static inline int reach(ReachedNodes *reached, Charge *account, Node *node, uint32_t id, uint32_t took) {
    Reached *to;
    if (reached->count == reached->room && reached_grow(reached, account) < 0)
        return -1;
    to = &reached->items[reached->count++];
    to->node = node;
    to->id = id;
    to->took = took;
    return 0;
}

static inline void walk_free(Walk *walk, Charge *account) {
    reached_free(&walk->active, account);
    reached_free(&walk->coming, account);
    reached_free(&walk->ends, account);
    reached_free(&walk->tails, account);
}

/* ---- what takes no word ----------------------------------------------------------------------------------------- */

/* Unless it was collected for this word already. */
static inline int collect_many(Walk *walk, Nodes *nodes, Node *node, uint32_t id, uint32_t took) {
    if (node->label.passed.seen == walk->clock)
        return 0;
    node->label.passed.seen = walk->clock;
    return reach(&walk->coming, &nodes->charge, node, id, took);
}

/* What is here takes all that follows, so it matches; several ways may lead here, the first counts. */
static inline int emit_once(Walk *walk, Node *node, Matches *out) {
    if (node->label.passed.seen >= walk->began)
        return 0;
    node->label.passed.seen = walk->clock;
    return entries_emit(node->entries, out);
}

static inline int ends_here(const Node *node) {
    return (node->edge_count | node->wild[0] | node->wild[1] | node->wild[2] | node->wild[3] | node->wild[4]
            | node->wild[5] | node->wild[6]) == 0;
}

/* Nor is this collected, but it is emitted behind what is: so '*' comes before '#'. */
static inline int note_end(Walk *walk, Nodes *nodes, Node *node, uint32_t id) {
    if (node->label.passed.seen >= walk->began)
        return 0;
    node->label.passed.seen = walk->clock;
    return reach(&walk->ends, &nodes->charge, node, id, 0);
}

/* A '#' below a node that the words so far lead to. */
static inline int come_to_many(Walk *walk, Nodes *nodes, uint32_t id, int separator, const Words *word) {
    Node *node = node_at(nodes, id);
    if (!ends_here(node))
        return collect_many(walk, nodes, node, id, 0);
    walk->steps++;
    return word->next == NULL || separators_meet(separator, word->following) ? note_end(walk, nodes, node, id) : 0;
}

static inline int come_to_tails(Walk *walk, Nodes *nodes, uint32_t id) {
    Node *node = node_at(nodes, id);
    uint64_t place = walk->clock - walk->began;
    if (node->label.passed.seen < walk->began) {
        node->label.passed.starts = 0;
        if (reach(&walk->tails, &nodes->charge, node, id, 0) < 0)
            return -1;
    }
    node->label.passed.seen = walk->clock;
    node->label.passed.starts |= (uint64_t)1 << (place & LEVELS_MAX);
    return 0;
}

/* Every MANY below a collected node is reached by taking nothing, and those below it in turn; and so are tails. */
static inline int collect_waiting(Walk *walk, Nodes *nodes, const Words *word) {
    for (size_t i = 0; i < walk->coming.count; i++) {
        const uint32_t *wild = &walk->coming.items[i].node->wild[0];
        uint32_t dot = wild[WORD_MANY - WORD_STAR], slash = wild[WORD_MANY - WORD_STAR + SEPARATOR_SLASH];
        uint32_t tails = wild[WAY_TAILS - WORD_STAR];
        if ((dot | slash | tails) == NOWHERE)
            continue;
        if (dot != NOWHERE && come_to_many(walk, nodes, dot, SEPARATOR_DOT, word) < 0)
            return -1;
        if (slash != NOWHERE && come_to_many(walk, nodes, slash, SEPARATOR_SLASH, word) < 0)
            return -1;
        if (tails != NOWHERE && come_to_tails(walk, nodes, tails) < 0)
            return -1;
    }
    return 0;
}

/* ---- what takes a word ------------------------------------------------------------------------------------------ */

/* The children that this word leads to, behind this separator. */
static inline int collect_children(Walk *walk, Nodes *nodes, const Reached *from, unsigned separator, const Words *word,
                                   uint64_t word_hash, Matches *out) {
    Node *node = from->node;
    uint32_t star = node->wild[separator], rest = node->wild[WORD_REST - WORD_STAR + separator];
    if (node->edge_count) {
        Found found = find_edge(nodes, from->id, WORD_PLAIN | separator, word->text, word->length, word_hash);
        if (found.id != NOWHERE && reach(&walk->coming, &nodes->charge, found.node, found.id, 0) < 0)
            return -1;
    }
    if (star != NOWHERE && reach(&walk->coming, &nodes->charge, node_at(nodes, star), star, 0) < 0)
        return -1;
    return rest != NOWHERE ? emit_once(walk, node_at(nodes, rest), out) : 0;
}

static inline int takes_another(const Reached *reached, const Words *word) {
    unsigned way = reached->node->way;
    if (way != (WORD_MANY | SEPARATOR_DOT) && way != (WORD_MANY | SEPARATOR_SLASH))
        return 0;
    return reached->took || separators_meet((int)way - WORD_MANY, word->separator);
}

/* From the active nodes to those that one more word leads to. */
static inline int step(Walk *walk, Nodes *nodes, const Words *word, Matches *out) {
    uint64_t word_hash = hash_bytes(word->text, word->length, nodes->seed);
    unsigned first = word->separator == SEPARATOR_ANY ? SEPARATOR_DOT : word->separator;
    unsigned last = word->separator == SEPARATOR_ANY ? SEPARATOR_SLASH : word->separator;
    walk->coming.count = 0;
    for (size_t i = 0; i < walk->active.count; i++) {
        Reached from = walk->active.items[i];
        if (takes_another(&from, word) && collect_many(walk, nodes, from.node, from.id, 1) < 0)
            return -1;
        for (unsigned separator = first; separator <= last; separator++)
            if (collect_children(walk, nodes, &from, separator, word, word_hash, out) < 0)
                return -1;
    }
    return 0;
}

static inline void activate(Walk *walk) {
    ReachedNodes done = walk->active;
    walk->active = walk->coming;
    walk->coming = done;
    walk->steps += walk->active.count;
}

/* ---- the match -------------------------------------------------------------------------------------------------- */

static inline int emit_whole(const Nodes *nodes, const char *name, size_t length, Matches *out) {
    Found found = find_child(nodes, ROOT, WAY_WHOLE, name, length);
    return found.id != NOWHERE ? entries_emit(found.node->entries, out) : 0;
}

static inline int emit_all(const ReachedNodes *reached, Matches *out) {
    for (size_t i = 0; i < reached->count; i++)
        if (entries_emit(reached->items[i].node->entries, out) < 0)
            return -1;
    return 0;
}

static inline int walk_words(Walk *walk, Nodes *nodes, Words word, Matches *out) {
    walk->began = ++walk->clock;
    walk->coming.count = walk->ends.count = walk->tails.count = 0;
    if (reach(&walk->coming, &nodes->charge, node_at(nodes, ROOT), ROOT, 0) < 0
        || collect_waiting(walk, nodes, &word) < 0)
        return -1;
    activate(walk);
    while (walk->active.count && next_word(&word)) {
        walk->clock++;
        if (step(walk, nodes, &word, out) < 0 || collect_waiting(walk, nodes, &word) < 0)
            return -1;
        activate(walk);
    }
    return emit_all(&walk->active, out) < 0 || emit_all(&walk->ends, out) < 0 ? -1 : 0;
}

static inline int look_at_tails(Walk *walk, const Nodes *nodes, const char *name, size_t length, Matches *out) {
    Sieve sieve;
    size_t rows = 0, i;
    if (!name_split(&sieve.name, name, length))
        return 0;
    for (i = 0; i < walk->tails.count; i++)
        rows += tails_count(walk->tails.items[i].node);
    if (rows >= SIEVE_FROM)
        sieve_make(&sieve, nodes->seed);
    for (i = 0; i < walk->tails.count; i++)
        if (tails_emit(nodes, walk->tails.items[i].node, &sieve, rows >= SIEVE_FROM, out, &walk->steps) < 0)
            return -1;
    return 0;
}

/* Appends the value of every entry whose pattern matches a name of at most LEVELS_MAX words. -1: no memory. */
static inline int walk_match(Walk *walk, Nodes *nodes, const char *name, size_t length, Matches *out) {
    if (nodes->chunks == NULL)
        return 0;
    if (emit_whole(nodes, name, length, out) < 0 || walk_words(walk, nodes, words_of(name, length), out) < 0)
        return -1;
    return walk->tails.count ? look_at_tails(walk, nodes, name, length, out) : 0;
}

#endif
