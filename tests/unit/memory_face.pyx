"""A face to Python of csrc/blocks.h and csrc/census.h, for their test. It counts what is mapped itself."""
from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memset

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
    #undef mmap
    #undef munmap
    #include "csrc/census.h"
    """
    size_t mapped_bytes
    struct Blocks_ "Blocks":
        uint32_t spare
    void *block_take(Blocks_ *blocks, size_t size)
    void block_give(Blocks_ *blocks, void *block, size_t size)
    size_t block_cost(size_t size)
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
    """Blocks, each filled by whoever took it; the test must give back all."""
    cdef Blocks_ blocks

    def __cinit__(self):
        memset(&self.blocks, 0, sizeof(self.blocks))

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
