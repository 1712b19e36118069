/* Floor 0: memory for messages, which come and go by the million in a few sizes.
 *
 *     class 0: 64 bytes, class 1: 128 bytes, ... class 15: 1024 bytes; what is larger is malloc's
 *
 * A block that is given back is kept for the next message of its class, up to BLOCKS_KEPT bytes in all classes together:
 * a push and a pop instead of the search that malloc makes once more than a handful of blocks are free. A build with
 * assertions keeps none, so that the sanitizers see every use of a block that was given back.
 */
#ifndef FASTBROKER_BLOCKS_H
#define FASTBROKER_BLOCKS_H

#include <stddef.h>
#include <stdlib.h>

#define BLOCK_STEP 64
#define BLOCK_CLASSES 16
#ifdef NDEBUG
#define BLOCKS_KEPT ((size_t)8 << 20)
#else
#define BLOCKS_KEPT ((size_t)0)
#endif

typedef struct Blocks {
    void *kept[BLOCK_CLASSES];
    size_t bytes; /* of all that is kept */
} Blocks;

static inline size_t block_class(size_t size) {
    return (size - 1) / BLOCK_STEP;
}

static inline void *block_take(Blocks *blocks, size_t size) {
    size_t class = block_class(size);
    void *block;
    if (class >= BLOCK_CLASSES)
        return malloc(size);
    block = blocks->kept[class];
    if (block == NULL)
        return malloc((class + 1) * BLOCK_STEP);
    blocks->kept[class] = *(void **)block;
    blocks->bytes -= (class + 1) * BLOCK_STEP;
    return block;
}

/* `size` is what it was taken with. */
static inline void block_give(Blocks *blocks, void *block, size_t size) {
    size_t class = block_class(size);
    if (class >= BLOCK_CLASSES || blocks->bytes + (class + 1) * BLOCK_STEP > BLOCKS_KEPT) {
        free(block);
        return;
    }
    *(void **)block = blocks->kept[class];
    blocks->kept[class] = block;
    blocks->bytes += (class + 1) * BLOCK_STEP;
}

#endif
