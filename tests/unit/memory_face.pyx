"""A face to Python of csrc/blocks.h, moving.h and census.h, for their test. It counts what is mapped itself."""
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #include <sys/mman.h>

    static size_t mapped_bytes;

    static void *counted_mmap(void *at, size_t length, int protection, int flags, int fd, long offset) {
        void *bytes = mmap(at, length, protection, flags, fd, offset);
        mapped_bytes += bytes == MAP_FAILED ? 0 : length;
        return bytes;
    }

    static int counted_munmap(void *bytes, size_t length) {
        mapped_bytes -= length;
        return munmap(bytes, length);
    }

    #define mmap counted_mmap
    #define munmap counted_munmap
    #include "csrc/blocks.h"
    #include "csrc/moving.h"
    #undef mmap
    #undef munmap
    #include "csrc/census.h"
    """
    size_t mapped_bytes
    struct Account_ "Account":
        int64_t bytes
    struct Blocks_ "Blocks":
        Account_ account
        int64_t taken
        size_t spare
    struct Keeper_ "Keeper":
        size_t place
    void blocks_init(Blocks_ *blocks, Census_ *census)
    void blocks_end(Blocks_ *blocks)
    void *block_take(Blocks_ *blocks, size_t size)
    void block_give(Blocks_ *blocks, void *block, size_t size)
    size_t block_cost(size_t size)
    void keeper_join(Census_ *census, Keeper_ *keeper, int64_t (*visit)(void *owner, int64_t budget) noexcept,
                     void *owner)
    void keeper_leave(Keeper_ *keeper)
    int block_is_left(const Blocks_ *blocks, const void *block)
    void round_begin(Blocks_ *blocks, int64_t tolerated)
    void round_go_on(Blocks_ *blocks, int64_t budget)
    struct Census_ "Census":
        int64_t memory
        int64_t input
    struct Ceiling_ "Ceiling":
        const Census_ *census
        int64_t limit
        int64_t reserve
        int64_t closed
        int64_t parked
    void ceiling_init(Ceiling_ *ceiling, const Census_ *census, int64_t limit)
    int ceiling_closed(const Ceiling_ *ceiling)
    int ceiling_open(const Ceiling_ *ceiling)
    int ceiling_closed_again(const Ceiling_ *ceiling)
    int ceiling_reached(const Ceiling_ *ceiling)
    int ceiling_parked_full(const Ceiling_ *ceiling)
    int ceiling_input_full(const Ceiling_ *ceiling)


def mapped():
    return mapped_bytes


def cost(size_t size):
    return block_cost(size)


cdef class Store:
    """Blocks, each filled by whoever took it; the test must give back all. Those in `kept` can be moved."""
    cdef Blocks_ blocks
    cdef Census_ census
    cdef Keeper_ keeper
    cdef public list kept       # [address, size, ...]
    cdef public int64_t moved   # bytes

    def __cinit__(self):
        memset(&self.census, 0, sizeof(self.census))
        blocks_init(&self.blocks, &self.census)
        keeper_join(&self.census, &self.keeper, visit_store, <void *>self)
        self.kept = []

    def __dealloc__(self):
        keeper_leave(&self.keeper)
        blocks_end(&self.blocks)

    @property
    def charged(self):
        assert self.blocks.account.bytes == self.census.memory
        return self.census.memory

    @property
    def taken(self):
        return self.blocks.taken

    @property
    def spare(self):
        return self.blocks.spare

    def begin(self, int64_t tolerated):
        round_begin(&self.blocks, tolerated)

    def go_on(self, int64_t budget):
        """What was moved."""
        cdef int64_t before = self.moved
        round_go_on(&self.blocks, budget)
        return self.moved - before

    def take(self, size_t size, int fill):
        """Its address."""
        cdef void *block = block_take(&self.blocks, size)
        memset(block, fill, size)
        return <uintptr_t>block

    def give(self, uintptr_t block, size_t size):
        """What stood in it."""
        found = (<char *>block)[:size]
        block_give(&self.blocks, <void *>block, size)
        return found


cdef int64_t visit_store(void *owner, int64_t budget) noexcept:
    cdef Store store = <Store>owner
    cdef void *block
    while budget > 0 and store.keeper.place < <size_t>len(store.kept):
        block = <void *><uintptr_t>store.kept[store.keeper.place][0]
        if block_is_left(&store.blocks, block):
            budget -= move(store, store.kept[store.keeper.place])
        store.keeper.place += 1
    if store.keeper.place >= <size_t>len(store.kept):
        store.keeper.place = 0
    return budget


cdef int64_t move(Store store, list kept):
    cdef uintptr_t old = kept[0]
    cdef size_t size = kept[1]
    cdef void *new = block_take(&store.blocks, size)
    memcpy(new, <void *>old, size)
    block_give(&store.blocks, <void *>old, size)
    kept[0] = <uintptr_t>new
    store.moved += <int64_t>size
    return <int64_t>size


cdef class Roof:
    """A ceiling over memory and input that a test sets."""
    cdef Census_ census
    cdef Ceiling_ ceiling

    def __cinit__(self, int64_t limit):
        memset(&self.census, 0, sizeof(self.census))
        ceiling_init(&self.ceiling, &self.census, limit)

    @property
    def marks(self):
        """(reserve, where it closes, what parked frames may have)"""
        return self.ceiling.reserve, self.ceiling.closed, self.ceiling.parked

    def at(self, int64_t memory, int64_t input=0):
        """The names of all that is so then."""
        self.census.memory = memory
        self.census.input = input
        return {name for name, so in (
            ("closed", ceiling_closed(&self.ceiling)), ("open", ceiling_open(&self.ceiling)),
            ("closed again", ceiling_closed_again(&self.ceiling)), ("reached", ceiling_reached(&self.ceiling)),
            ("parked full", ceiling_parked_full(&self.ceiling)), ("input full", ceiling_input_full(&self.ceiling)),
        ) if so}
