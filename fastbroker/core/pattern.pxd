"""What a pattern is, without a trie (csrc/pattern.h, where the words are explained)."""


cdef extern from "csrc/pattern.h" nogil:
    enum:
        LEVELS_MAX       # words of a pattern or name, whatever the configuration says
        WORD_LENGTH_MAX  # bytes of one word of a pattern

    # Has at least one wildcard word.
    bint is_pattern(const char *name, size_t length)
    # NULL when the pattern is fine, else why not, for a person.
    const char *pattern_error(const char *pattern, size_t length, int max_levels)
    # One pattern against one name; never true for a name of more than LEVELS_MAX words.
    bint pattern_matches(const char *pattern, size_t pattern_length, const char *name, size_t name_length)
