/* Tails: ends of patterns that are not walked, because there can be too many ways through them.
 *
 * Whoever chooses the patterns can see to it that a walk reaches all of their nodes, if they have wildcards enough. So
 * a pattern is in the trie only up to its first wildcard too many (csrc/paths.h); what is left of it is one node, a
 * child of the `tails` there. A match that comes by there looks at all of them, but at each once and quickly:
 *
 *      .*.a.b.*.x.y/z.#.q        a tail: two segments of words, an open word between them
 *      └──────┘└────┘   └┘
 *        gram   gram   gram      up to four words with what stands in front of them, hashed; 12 bits are its number
 *
 *      shelves ──> │ grams of the segments 2, 1, 0; open words │ rows ─┐ │ 3, 0, 0 │ rows │ ...
 *                                                                      v
 *                    │ node │ check │ lengths 6, 1, 0 │ open words │ numbers of the grams ... │  (next row) │
 *
 * The sieve has all grams that the name has, also with '*' for any of their words: for each number the places at which
 * such a gram begins. So a tail costs one look-up for four words, whatever they are. Tails that are alike stand on one
 * shelf: the processor then foresees how the loops over them go, which is half of the time. What the sieve lets through
 * is compared word by word; the check, a sum over the other bits of the grams, sees to it that this is rarely in vain.
 */
#ifndef FASTBROKER_TAILS_H
#define FASTBROKER_TAILS_H

#include "csrc/nodes.h"

enum {
    GRAM_WORDS = 4,
    GRAM_BITS = 12,
    GRAMS_MAX = 20, /* of LEVELS_MAX words in so many segments */
    SEGMENTS_MAX = OPEN_WORDS_MAX + 1,
    ROWS_A_STEP = 4, /* rows take as long as one step of the walk */
    STEPS_A_TAIL = 8, /* for one that is compared word by word */
    SIEVE_FROM = 16  /* rows from which on a sieve is worth its making */
};

typedef struct TailRow {
    uint32_t node;
    uint32_t check;
    uint8_t lengths[SEGMENTS_MAX]; /* words */
    uint8_t separators;            /* a bit for each open word */
    uint16_t grams[];
} TailRow;

/* What rows have in common that stand together. */
typedef struct TailShape {
    uint8_t grams[SEGMENTS_MAX];
    uint8_t opens;   /* how many open words */
    uint8_t is_rest; /* the last of them is '>' */
} TailShape;

typedef struct TailShelf {
    TailShape shape;
    uint32_t count, room;
    char *rows;
} TailShelf;

typedef struct TailShelves {
    uint32_t count, room;
    TailShelf shelves[];
} TailShelves;

/* One row, as it is made of a tail's words. */
typedef struct TailDraft {
    TailShape shape;
    TailRow row;
    uint16_t grams[GRAMS_MAX];
} TailDraft;

enum { MIXED = 0 }; /* the check of a number that several grams have */

typedef struct Sieve {
    uint64_t seed;
    Name name;
    uint64_t at[1 << GRAM_BITS];
    uint32_t checks[1 << GRAM_BITS];
} Sieve;

/* ---- grams ------------------------------------------------------------------------------------------------------ */

/* A word as part of a gram; of a STAR only the separator counts. */
static inline uint64_t token_of(int kind, int separator, const char *text, size_t length, uint64_t seed) {
    return (kind == WORD_STAR ? 0 : hash_bytes(text, length, seed)) + (uint64_t)(2 * separator + 1);
}

static inline uint64_t gram_with(uint64_t gram, uint64_t token, uint64_t seed) {
    return hash_fold(gram + token, seed ^ 0x9e3779b97f4a7c15u);
}

static inline uint16_t gram_number(uint64_t gram) {
    return (uint16_t)(gram >> (64 - GRAM_BITS));
}

static inline uint32_t gram_check(uint64_t gram) {
    return (uint32_t)gram | 1;
}

/* Everything that the first `count` grams can become with word i behind them; how many there are then. */
static inline int grams_longer(const Sieve *sieve, int i, const uint64_t *grams, int count, uint64_t *longer) {
    int made = 0;
    for (int separator = SEPARATOR_DOT; separator <= SEPARATOR_SLASH; separator++) {
        if (!(sieve->name.separators[separator] >> i & 1))
            continue;
        for (int kind = WORD_PLAIN; kind <= WORD_STAR; kind += WORD_STAR) {
            const char *text = sieve->name.words[i].text;
            uint64_t token = token_of(kind, separator, text, sieve->name.words[i].length, sieve->seed);
            for (int j = 0; j < count; j++)
                longer[made++] = gram_with(grams[j], token, sieve->seed);
        }
    }
    return made;
}

static inline void sieve_add(Sieve *sieve, uint64_t gram, int start) {
    uint16_t number = gram_number(gram);
    if (sieve->at[number] == 0)
        sieve->checks[number] = gram_check(gram);
    else if (sieve->checks[number] != gram_check(gram))
        sieve->checks[number] = MIXED;
    sieve->at[number] |= (uint64_t)1 << start;
}

static inline void sieve_from(Sieve *sieve, int start) {
    uint64_t space[2][2 << GRAM_WORDS] = {{0}}; /* in front of the first word both separators may be meant */
    int count = 1;
    for (int i = 0; i < GRAM_WORDS && start + i < sieve->name.count; i++) {
        const uint64_t *grams = space[(i + 1) & 1];
        count = grams_longer(sieve, start + i, space[i & 1], count, space[(i + 1) & 1]);
        for (int j = 0; j < count; j++)
            sieve_add(sieve, grams[j], start);
    }
}

static inline void sieve_make(Sieve *sieve, uint64_t seed) {
    sieve->seed = seed;
    memset(sieve->at, 0, sizeof sieve->at);
    for (int start = 0; start < sieve->name.count; start++)
        sieve_from(sieve, start);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The words of a tail; its text begins with a separator. */
static inline Words tail_words(const char *text, size_t length) {
    Words words = words_of(text + 1, length - 1);
    words.following = *text == '/' ? SEPARATOR_SLASH : SEPARATOR_DOT;
    return words;
}

static inline void draft_open(TailDraft *draft, const Words *word) {
    draft->row.separators |= (uint8_t)(word->separator << draft->shape.opens);
    draft->shape.is_rest = kind_of(word) == WORD_REST;
    draft->shape.opens++;
}

static inline void draft_make(TailDraft *draft, const Node *tail, uint64_t seed) {
    Words word = tail_words(label_of(tail), tail->length);
    uint64_t gram = 0;
    int grams = 0;
    memset(draft, 0, sizeof *draft);
    for (int more = next_word(&word); more;) {
        int segment = draft->shape.opens, kind = kind_of(&word);
        if (kind >= WORD_MANY) {
            draft_open(draft, &word);
            more = next_word(&word);
            continue;
        }
        gram = gram_with(gram, token_of(kind, word.separator, word.text, word.length, seed), seed);
        more = next_word(&word);
        if (++draft->row.lengths[segment] % GRAM_WORDS == 0 || !more || kind_of(&word) >= WORD_MANY) {
            draft->row.check += gram_check(gram);
            draft->grams[grams++] = gram_number(gram);
            draft->shape.grams[segment]++;
            gram = 0;
        }
    }
}

static inline uint32_t shape_grams(const TailShape *shape) {
    return (uint32_t)shape->grams[0] + shape->grams[1] + shape->grams[2];
}

static inline size_t row_size(const TailShape *shape) {
    return (sizeof(TailRow) + sizeof(uint16_t) * shape_grams(shape) + 3) & ~(size_t)3;
}

static inline TailRow *row_at(const TailShelf *shelf, uint32_t row) {
    return (TailRow *)(shelf->rows + row_size(&shelf->shape) * row);
}

static inline uint64_t segment_passes(const uint16_t *grams, int count, const Sieve *sieve, uint64_t at) {
    for (int i = 0; i < count; i++)
        at &= sieve->at[grams[i]] >> GRAM_WORDS * i;
    return at;
}

/* Whether the sieve has the grams of a tail, in their order, behind one of the places `at`. */
static inline int row_passes(const TailRow *row, const TailShape *shape, const Sieve *sieve, uint64_t at) {
    const uint16_t *grams = row->grams;
    for (int segment = 0;; segment++) {
        at = segment_passes(grams, shape->grams[segment], sieve, at) << row->lengths[segment];
        if (segment == shape->opens)
            return at >> sieve->name.count & 1;
        grams += shape->grams[segment];
        at = after_open(shape->is_rest && segment + 1 == shape->opens ? WORD_REST : WORD_MANY, at,
                        sieve->name.separators, row->separators >> segment & 1, sieve->name.count);
    }
}

static inline int row_checks(const TailRow *row, const TailShape *shape, const Sieve *sieve) {
    uint32_t grams = shape_grams(shape), sum = 0;
    for (uint32_t i = 0; i < grams; i++) {
        uint32_t check = sieve->checks[row->grams[i]];
        if (check == MIXED)
            return 1;
        sum += check;
    }
    return sum == row->check;
}

/* ---- shelves ---------------------------------------------------------------------------------------------------- */

static inline size_t shelves_size(uint32_t room) {
    return sizeof(TailShelves) + sizeof(TailShelf) * room;
}

/* -1: no memory. `*block` may be NULL. */
static inline int regrow(Charge *account, void **block, size_t old, size_t size) {
    void *grown = realloc(*block, size);
    if (grown == NULL)
        return -1;
    charge(account, heap_size(size) - (*block != NULL ? heap_size(old) : 0));
    *block = grown;
    return 0;
}

static inline int resize_shelf(Charge *account, TailShelf *shelf, uint32_t room) {
    size_t size = row_size(&shelf->shape);
    void *rows = shelf->rows;
    if (regrow(account, &rows, size * shelf->room, size * room) < 0)
        return -1;
    shelf->rows = (char *)rows;
    shelf->room = room;
    return 0;
}

static inline int resize_shelves(Charge *account, Node *tails, uint32_t room) {
    void *shelves = tails->shelves;
    uint32_t count = shelves != NULL ? tails->shelves->count : 0;
    if (regrow(account, &shelves, shelves != NULL ? shelves_size(tails->shelves->room) : 0, shelves_size(room)) < 0)
        return -1;
    tails->shelves = (TailShelves *)shelves;
    tails->shelves->count = count;
    tails->shelves->room = room;
    return 0;
}

static inline TailShelf *find_shelf(const Node *tails, const TailShape *shape) {
    TailShelves *all = tails->shelves;
    for (uint32_t i = 0; all != NULL && i < all->count; i++)
        if (memcmp(&all->shelves[i].shape, shape, sizeof *shape) == 0)
            return &all->shelves[i];
    return NULL;
}

/* NULL: no memory. */
static inline TailShelf *make_shelf(Charge *account, Node *tails, const TailShape *shape) {
    TailShelves *all = tails->shelves;
    TailShelf *shelf = find_shelf(tails, shape);
    if (shelf != NULL)
        return shelf;
    if ((all == NULL || all->count == all->room) && resize_shelves(account, tails, all == NULL ? 1 : 2 * all->room) < 0)
        return NULL;
    all = tails->shelves;
    shelf = &all->shelves[all->count++];
    memset(shelf, 0, sizeof *shelf);
    shelf->shape = *shape;
    return shelf;
}

/* Takes an empty shelf away; without memory for fewer of them their list stays large. */
static inline void drop_shelf(Charge *account, Node *tails, TailShelf *shelf) {
    TailShelves *all = tails->shelves;
    if (shelf->rows != NULL)
        heap_give(account, shelf->rows, row_size(&shelf->shape) * shelf->room);
    *shelf = all->shelves[--all->count];
    if (all->count == 0) {
        heap_give(account, all, shelves_size(all->room));
        tails->shelves = NULL;
    } else if (all->count <= all->room / 4) {
        resize_shelves(account, tails, all->room / 2);
    }
}

static inline void shelves_free(Charge *account, Node *tails) {
    while (tails->shelves != NULL)
        drop_shelf(account, tails, &tails->shelves->shelves[0]);
}

/* ---- coming and going ------------------------------------------------------------------------------------------- */

/* -1: no memory. */
static inline int tail_add(Nodes *nodes, uint32_t id) {
    Node *tail = node_at(nodes, id), *tails = node_at(nodes, tail->parent);
    TailDraft draft;
    TailShelf *shelf;
    TailRow *row;
    draft_make(&draft, tail, nodes->seed);
    shelf = make_shelf(&nodes->charge, tails, &draft.shape);
    if (shelf == NULL)
        return -1;
    if (shelf->count == shelf->room && resize_shelf(&nodes->charge, shelf, shelf->room ? 2 * shelf->room : 1) < 0) {
        if (shelf->count == 0)
            drop_shelf(&nodes->charge, tails, shelf);
        return -1;
    }
    row = row_at(shelf, shelf->count++);
    draft.row.node = id;
    *row = draft.row;
    memcpy(row->grams, draft.grams, sizeof(uint16_t) * shape_grams(&draft.shape));
    tail->row = shelf->count;
    return 0;
}

/* The last row of the shelf takes its place. */
static inline void tail_remove(Nodes *nodes, uint32_t id) {
    Node *tail = node_at(nodes, id), *tails = node_at(nodes, tail->parent);
    TailDraft draft;
    TailShelf *shelf;
    TailRow *row, *last;
    draft_make(&draft, tail, nodes->seed);
    shelf = find_shelf(tails, &draft.shape);
    row = row_at(shelf, tail->row - 1);
    last = row_at(shelf, --shelf->count);
    node_at(nodes, last->node)->row = tail->row;
    memmove(row, last, row_size(&shelf->shape));
    tail->row = 0;
    if (shelf->count == 0)
        drop_shelf(&nodes->charge, tails, shelf);
    else if (shelf->count <= shelf->room / 4)
        resize_shelf(&nodes->charge, shelf, shelf->room / 2); /* without memory for it the shelf stays large */
}

static inline int has_row(const Node *node) {
    return node->way == WAY_WHOLE && node->row != 0;
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

static inline uint32_t tails_count(const Node *tails) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < tails->shelves->count; i++)
        count += tails->shelves->shelves[i].count;
    return count;
}

static inline int shelf_emit(const Nodes *nodes, const TailShelf *shelf, const Sieve *sieve, int sieved,
                             uint64_t starts, Matches *out, uint64_t *steps) {
    const TailShape shape = shelf->shape;
    for (uint32_t i = 0; i < shelf->count; i++) {
        const TailRow *row = row_at(shelf, i);
        const Node *tail;
        if (sieved && !(row_passes(row, &shape, sieve, starts) && row_checks(row, &shape, sieve)))
            continue;
        *steps += STEPS_A_TAIL;
        tail = node_at(nodes, row->node);
        if (words_match(tail_words(label_of(tail), tail->length), &sieve->name, starts)
            && entries_emit(tail->entries, out) < 0)
            return -1;
    }
    *steps += 1 + shelf->count / ROWS_A_STEP;
    return 0;
}

/* Appends what is at those of the tails that take all that the name has behind one of the places noted. -1: no
 * memory. */
static inline int tails_emit(const Nodes *nodes, const Node *tails, const Sieve *sieve, int sieved, Matches *out,
                             uint64_t *steps) {
    const TailShelves *all = tails->shelves;
    for (uint32_t i = 0; i < all->count; i++)
        if (shelf_emit(nodes, &all->shelves[i], sieve, sieved, tails->label.passed.starts, out, steps) < 0)
            return -1;
    return 0;
}

#endif
