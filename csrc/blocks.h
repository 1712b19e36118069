/* Floor 0: memory for messages, which come and go by the million in all sizes.
 *
 *     classes 0 to 15: 64, 128, ... 1024 bytes;  16 to 95: 1152, 1280, ... 2048, 2304, ... 1 MiB;  96: what is larger;
 *     97: 48 bytes, for what is left of a message whose content is on the disk
 *
 *     slab  | head | block | block | ... | never taken      256 KiB, at a multiple of 256 KiB, all blocks of one class;
 *                    `- a free one points to the next free one           longer where one block needs it
 *
 * Slabs with room stand in the ring of their class; the first of them gives the next block: a pop, and a push when it
 * comes back. A slab all of whose blocks are free goes back to the system, but for SPARE_BYTES in all classes together.
 *
 * What a slab costs is what was ever taken of it, until all of it is free, and so much is charged. Where a few blocks
 * hold many slabs they are moved (moving.h).
 *
 * A build with assertions takes every block from malloc, so that the sanitizers see the use of one that was given back.
 */
#ifndef FASTBROKER_BLOCKS_H
#define FASTBROKER_BLOCKS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "csrc/census.h"
#include "csrc/ring.h"

#define BLOCK_STEP ((size_t)64)
#define BLOCK_SMALL ((size_t)1024)
#define BLOCK_LARGEST ((size_t)1 << 20)
#define BLOCK_LARGER 96
#define BLOCK_FEW 97
#define BLOCK_CLASSES 98
#define BLOCK_SMALLEST ((size_t)48)
#define PAGE_BYTES ((size_t)4096)
#define SLAB_BYTES ((size_t)262144)
#define SLAB_HEAD (2 * BLOCK_STEP)
#define SPARE_BYTES ((size_t)8 << 20)

typedef struct Slab {
    Link link;     /* in the ring of its class while it has room, or of those that are left */
    void *free;    /* blocks that came back */
    size_t fresh;  /* bytes from here on were never taken */
    size_t bytes;  /* of a block */
    size_t length; /* of all */
    uint32_t used; /* blocks that are taken */
    uint16_t class;
    uint16_t left; /* chosen to be */
} Slab;

typedef struct Blocks {
    Link rings[BLOCK_CLASSES];
    Link left;       /* slabs that are */
    Link keepers;    /* all who keep messages */
    Link ahead;      /* those of them to whom the round has not come */
    int carries;     /* that round moves nothing: it is one of the journal's */
    Account account; /* what the slabs cost */
    int64_t taken;   /* bytes of blocks */
    size_t spare;    /* bytes of slabs without a block that is taken */
    size_t kept;     /* so many of them, at most */
} Blocks;

/* ---- sizes ---- */

static inline size_t block_class(size_t size) {
    unsigned doublings;
    if (size <= BLOCK_SMALLEST)
        return BLOCK_FEW;
    if (size <= BLOCK_SMALL)
        return (size - 1) / BLOCK_STEP;
    if (size > BLOCK_LARGEST)
        return BLOCK_LARGER;
    doublings = 53 - (unsigned)__builtin_clzll((unsigned long long)size - 1);
    return 16 + 8 * doublings + (((size - 1) >> (doublings + 7)) & 7);
}

/* What a block of that size takes. */
static inline size_t block_cost(size_t size) {
    size_t class = block_class(size);
    if (class < 16)
        return (class + 1) * BLOCK_STEP;
    if (class < BLOCK_LARGER)
        return (9 + (class & 7)) << (7 + (class - 16) / 8);
    if (class == BLOCK_FEW)
        return BLOCK_SMALLEST;
    return (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* ---- malloc, for all else ---- */

/* Large chunks are mapped one by one, so that they go back to the system when they are freed, whatever lies behind
 * them. */
static inline void memory_settle(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

/* Gives back what malloc keeps of what was freed. */
static inline void memory_trim(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

/* ---- blocks ---- */

static inline void blocks_init(Blocks *blocks, Census *census) {
    size_t class;
    for (class = 0; class < BLOCK_CLASSES; class++)
        ring_init(&blocks->rings[class]);
    ring_init(&blocks->left);
    ring_init(&blocks->keepers);
    ring_init(&blocks->ahead);
    blocks->carries = 0;
    blocks->account.bytes = blocks->taken = 0;
    blocks->account.total = &census->memory;
    blocks->spare = 0;
    blocks->kept = SPARE_BYTES;
    census->blocks = blocks;
}

static inline Blocks *blocks_of(const Census *census) {
    return census->blocks;
}

static inline void slab_unmap(Slab *slab) {
    link_leave(&slab->link);
    munmap(slab, slab->length);
}

/* No slab without a message is kept any more. */
static inline void blocks_end(Blocks *blocks) {
    size_t class;
    Link *link, *next;
    for (class = 0; class < BLOCK_CLASSES; class++)
        for (link = blocks->rings[class].next; link != &blocks->rings[class]; link = next) {
            next = link->next;
            if (((Slab *)link->owner)->used == 0)
                slab_unmap((Slab *)link->owner);
        }
    blocks->spare = blocks->kept = 0;
}

#ifdef NDEBUG

/* Maps more than it needs and lets go what lies beside the slab. The system maps downwards: the last place lies beside
 * the slab before, so that the two are one mapping, of which there cannot be very many. */
static Slab *slab_map(size_t length) {
    char *bytes = (char *)mmap(NULL, length + SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t behind;
    if (bytes == (char *)MAP_FAILED)
        return NULL;
    behind = (size_t)((uintptr_t)bytes & (SLAB_BYTES - 1));
    munmap(bytes, SLAB_BYTES - behind);
    if (behind)
        munmap(bytes + SLAB_BYTES - behind + length, behind);
    return (Slab *)(void *)(bytes + SLAB_BYTES - behind);
}

static Slab *slab_new(Blocks *blocks, size_t class, size_t bytes) {
    size_t length = (SLAB_HEAD + bytes + SLAB_BYTES - 1) & ~(SLAB_BYTES - 1);
    Slab *slab = slab_map(length);
    if (slab == NULL)
        return NULL;
    link_init(&slab->link, slab);
    slab->class = (uint16_t)class;
    slab->bytes = bytes;
    slab->length = length;
    slab->fresh = SLAB_HEAD;
    blocks->spare += length;
    link_join(&blocks->rings[class], &slab->link);
    return slab;
}

/* Nothing is taken of it any more, and it costs nothing. */
static void slab_emptied(Blocks *blocks, Slab *slab) {
    account_charge(&blocks->account, -(int64_t)(slab->fresh - SLAB_HEAD));
    slab->fresh = SLAB_HEAD;
    slab->free = NULL;
    slab->left = 0;
    link_join(&blocks->rings[slab->class], &slab->link); /* behind those that are in use */
    if (slab->class != BLOCK_LARGER && blocks->spare + slab->length <= blocks->kept)
        blocks->spare += slab->length;
    else
        slab_unmap(slab);
}

static inline Slab *slab_of(const void *block) {
    return (Slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
}

/* Whether another block can be taken from it. */
static inline int slab_has_room(const Slab *slab) {
    return slab->free != NULL || slab->fresh + slab->bytes <= slab->length;
}

static inline void *block_take(Blocks *blocks, size_t size) {
    Link *ring;
    Slab *slab;
    void *block;
    ring = &blocks->rings[block_class(size)];
    slab = ring_empty(ring) ? slab_new(blocks, block_class(size), block_cost(size)) : (Slab *)ring->next->owner;
    if (slab == NULL)
        return NULL;
    block = slab->free;
    if (block != NULL) {
        slab->free = *(void **)block;
    } else {
        block = (char *)slab + slab->fresh;
        slab->fresh += slab->bytes;
        account_charge(&blocks->account, (int64_t)slab->bytes);
    }
    blocks->taken += (int64_t)slab->bytes;
    if (slab->used++ == 0)
        blocks->spare -= slab->length;
    if (!slab_has_room(slab))
        link_leave(&slab->link);
    return block;
}

/* `size` is what it was taken with. */
static inline void block_give(Blocks *blocks, void *block, size_t size) {
    Slab *slab = slab_of(block);
    (void)size;
    *(void **)block = slab->free;
    slab->free = block;
    blocks->taken -= (int64_t)slab->bytes;
    if (!link_joined(&slab->link))
        link_join(&blocks->rings[slab->class], &slab->link);
    if (--slab->used == 0)
        slab_emptied(blocks, slab);
}

#else

static inline void blocks_charge(Blocks *blocks, int64_t bytes) {
    account_charge(&blocks->account, bytes);
    blocks->taken += bytes;
}

static inline void *block_take(Blocks *blocks, size_t size) {
    void *block = malloc(size);
    if (block != NULL)
        blocks_charge(blocks, (int64_t)block_cost(size));
    return block;
}

static inline void block_give(Blocks *blocks, void *block, size_t size) {
    blocks_charge(blocks, -(int64_t)block_cost(size));
    free(block);
}

#endif

#endif
