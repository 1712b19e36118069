/* Floor 0: memory for messages, which come and go by the million in a few sizes.
 *
 *     class 0: 64 bytes, class 1: 128 bytes, ... class 15: 1024 bytes; what is larger is malloc's
 *
 *     slab  | head | block | block | ...            256 KiB, at a multiple of 256 KiB, all blocks of one class
 *                    `- a free one points to the next free one
 *
 * Slabs with room stand in the ring of their class; the first of them gives the next block: a pop, and a push when it
 * comes back. A slab all of whose blocks are free goes back to the system, but for SLABS_KEPT in all classes together.
 * So what was taken once can be given back whatever came in between, and what a block costs is its size, nothing else.
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

#include "csrc/ring.h"

#define BLOCK_STEP ((size_t)64)
#define BLOCK_CLASSES 16
#define SLAB_BYTES ((size_t)262144)
#define SLABS_KEPT 32
#define MALLOC_COST ((size_t)16) /* bytes that malloc needs for itself, and loses to alignment, on average */

typedef struct Slab {
    Link link;      /* in the ring of its class while it has room */
    void *free;     /* blocks that came back */
    uint32_t fresh; /* bytes from here on were never taken */
    uint32_t used;  /* blocks that are taken */
    uint32_t class;
} Slab;

typedef struct Blocks { /* zeroed before its first use */
    Link rings[BLOCK_CLASSES];
    uint32_t spare; /* slabs without a block that is taken */
} Blocks;

static inline size_t block_class(size_t size) {
    return (size - 1) / BLOCK_STEP;
}

/* What a block of that size takes. */
static inline size_t block_cost(size_t size) {
    return block_class(size) < BLOCK_CLASSES ? (block_class(size) + 1) * BLOCK_STEP : size + MALLOC_COST;
}

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

#ifdef NDEBUG

/* Maps twice as much as it needs and lets go what lies beside the slab. */
static Slab *slab_map(void) {
    char *bytes = (char *)mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;
    if (bytes == (char *)MAP_FAILED)
        return NULL;
    before = (SLAB_BYTES - (size_t)((uintptr_t)bytes & (SLAB_BYTES - 1))) & (SLAB_BYTES - 1);
    if (before)
        munmap(bytes, before);
    munmap(bytes + before + SLAB_BYTES, SLAB_BYTES - before);
    return (Slab *)(void *)(bytes + before);
}

static Slab *slab_new(Blocks *blocks, size_t class) {
    Slab *slab = slab_map();
    if (slab == NULL)
        return NULL;
    link_init(&slab->link, slab);
    slab->class = (uint32_t)class;
    slab->fresh = 2 * BLOCK_STEP; /* behind this struct */
    blocks->spare++;
    link_join(&blocks->rings[class], &slab->link);
    return slab;
}

/* Whether another block can be taken from it. */
static inline int slab_has_room(const Slab *slab) {
    return slab->free != NULL || slab->fresh + (slab->class + 1) * BLOCK_STEP <= SLAB_BYTES;
}

static inline void *block_take(Blocks *blocks, size_t size) {
    size_t class = block_class(size);
    Link *ring;
    Slab *slab;
    void *block;
    if (class >= BLOCK_CLASSES)
        return malloc(size);
    ring = &blocks->rings[class];
    if (ring->next == NULL)
        ring_init(ring);
    slab = ring_empty(ring) ? slab_new(blocks, class) : (Slab *)ring->next->owner;
    if (slab == NULL)
        return NULL;
    block = slab->free;
    if (block != NULL) {
        slab->free = *(void **)block;
    } else {
        block = (char *)slab + slab->fresh;
        slab->fresh += (uint32_t)((class + 1) * BLOCK_STEP);
    }
    blocks->spare -= slab->used++ == 0;
    if (!slab_has_room(slab))
        link_leave(&slab->link);
    return block;
}

/* `size` is what it was taken with. */
static inline void block_give(Blocks *blocks, void *block, size_t size) {
    Slab *slab = (Slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1));
    if (block_class(size) >= BLOCK_CLASSES) {
        free(block);
        return;
    }
    *(void **)block = slab->free;
    slab->free = block;
    if (!link_joined(&slab->link))
        link_join(&blocks->rings[slab->class], &slab->link);
    if (--slab->used)
        return;
    if (blocks->spare < SLABS_KEPT) {
        blocks->spare++;
        return;
    }
    link_leave(&slab->link);
    munmap(slab, SLAB_BYTES);
}

#else

static inline void *block_take(Blocks *blocks, size_t size) {
    (void)blocks;
    return malloc(size);
}

static inline void block_give(Blocks *blocks, void *block, size_t size) {
    (void)blocks, (void)size;
    free(block);
}

#endif

#endif
