/* Pattern: the words of a name or pattern, which patterns there are, and one pattern against one name.
 *
 *      a . * / #           words, and in front of each but the first a separator
 *
 *      PLAIN   itself                            the separator in front of it must be the same
 *      STAR *  one word                          likewise
 *      MANY #  any number of words, also none    the same as in front of the first word that it takes; ** is another #
 *      REST >  one word or more, to the end      likewise
 *
 * In front of a name's first word stands no separator: it counts as equal to any. A pattern's first word meets no
 * other, so it is taken as if a '.' stood there.
 *
 * What a pattern has taken of a name so far is a number with a bit for every place: bit i says that it can be the first
 * i words. A word of the pattern turns one such number into the next, so a match takes (words of the pattern) steps,
 * and no more memory than the name's words.
 */
#ifndef FASTBROKER_PATTERN_H
#define FASTBROKER_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define WORD_LENGTH_MAX 255 /* bytes of one word of a pattern */
#define LEVELS_MAX 63       /* words of a pattern or name, whatever the configuration says */
#define OPEN_WORDS_MAX 2    /* how many of '#', '**' and '>' one pattern may have */

enum {
    SEPARATOR_DOT,
    SEPARATOR_SLASH,
    SEPARATOR_ANY /* in front of the first word of a name */
};

enum { WORD_PLAIN = 0, WORD_STAR = 2, WORD_MANY = 4, WORD_REST = 6 }; /* even: a separator can be added */

/* ---- words ------------------------------------------------------------------------------------------------------ */

typedef struct Words {
    const char *text; /* the current word */
    size_t length;
    uint8_t separator; /* in front of it */
    uint8_t following; /* behind it */
    const char *next;  /* NULL when the current word is the last */
    const char *end;
} Words;

static inline Words words_of(const char *name, size_t length) {
    Words words = {NULL, 0, SEPARATOR_ANY, SEPARATOR_ANY, name, name + length};
    return words;
}

static inline int next_word(Words *words) {
    const char *at = words->next;
    if (at == NULL)
        return 0;
    words->separator = words->following;
    words->text = at;
    while (at < words->end && *at != '.' && *at != '/')
        at++;
    words->length = (size_t)(at - words->text);
    words->next = NULL;
    if (at < words->end) {
        words->following = *at == '/' ? SEPARATOR_SLASH : SEPARATOR_DOT;
        words->next = at + 1;
    }
    return 1;
}

static inline int kind_of(const Words *word) {
    const char *text = word->text;
    if (word->length == 1)
        return *text == '*' ? WORD_STAR : *text == '#' ? WORD_MANY : *text == '>' ? WORD_REST : WORD_PLAIN;
    return word->length == 2 && text[0] == '*' && text[1] == '*' ? WORD_MANY : WORD_PLAIN;
}

/* As a pattern's: DOT or SLASH. */
static inline int separator_of(const Words *word) {
    return word->separator == SEPARATOR_SLASH ? SEPARATOR_SLASH : SEPARATOR_DOT;
}

static inline int separators_meet(int separator, int name_separator) {
    return separator == name_separator || name_separator == SEPARATOR_ANY;
}

/* ---- which patterns there are ----------------------------------------------------------------------------------- */

/* Has at least one wildcard word. */
static inline int is_pattern(const char *name, size_t length) {
    Words word = words_of(name, length);
    while (next_word(&word))
        if (kind_of(&word) != WORD_PLAIN)
            return 1;
    return 0;
}

/* NULL when the pattern is fine, else why not, for a person. */
static inline const char *pattern_error(const char *pattern, size_t length, int max_levels) {
    Words word = words_of(pattern, length);
    int levels = 0, open_words = 0;
    while (next_word(&word)) {
        levels++;
        if (levels > max_levels || levels > LEVELS_MAX)
            return "it has too many words";
        if (word.length > WORD_LENGTH_MAX)
            return "one of its words is longer than 255 bytes";
        if (kind_of(&word) == WORD_REST && word.next != NULL)
            return "'>' must be its last word";
        open_words += kind_of(&word) >= WORD_MANY;
    }
    return open_words > OPEN_WORDS_MAX ? "it has more than two of the wildcards '#', '**' and '>'" : NULL;
}

/* ---- one pattern against one name ------------------------------------------------------------------------------- */

typedef struct Name {
    int count;
    uint64_t separators[2]; /* of DOT and SLASH: bit i: it stands in front of word i, or may */
    struct {
        const char *text;
        size_t length;
    } words[LEVELS_MAX];
} Name;

/* 0 when it has more than LEVELS_MAX words. */
static inline int name_split(Name *name, const char *text, size_t length) {
    Words word = words_of(text, length);
    name->count = 0;
    name->separators[SEPARATOR_DOT] = name->separators[SEPARATOR_SLASH] = 0;
    while (next_word(&word)) {
        if (name->count == LEVELS_MAX)
            return 0;
        for (int separator = SEPARATOR_DOT; separator <= SEPARATOR_SLASH; separator++)
            name->separators[separator] |= (uint64_t)separators_meet(separator, word.separator) << name->count;
        name->words[name->count].text = word.text;
        name->words[name->count].length = word.length;
        name->count++;
    }
    return 1;
}

static inline int same_bytes(const char *a, const char *b, size_t length) {
    return length == 0 || (*a == *b && (length == 1 || memcmp(a, b, length) == 0));
}

/* Of the places `at`, those behind which stands this word. */
static inline uint64_t name_equals(const Name *name, const Words *word, uint64_t at) {
    uint64_t equal = 0;
    for (; at; at &= at - 1) {
        int i = __builtin_ctzll(at);
        if (name->words[i].length == word->length && same_bytes(name->words[i].text, word->text, word->length))
            equal |= (uint64_t)1 << i;
    }
    return equal;
}

/* All places behind the first of these, up to the end of a name of so many words. */
static inline uint64_t places_behind(uint64_t at, int count) {
    return at ? ~(at ^ (at - 1)) & ~(uint64_t)0 >> (63 - count) : 0;
}

/* Where an open word ends that begins at one of the places `at` in a name of so many words. */
static inline uint64_t after_open(int kind, uint64_t at, const uint64_t separators[2], int separator, int count) {
    uint64_t begun = at & separators[separator];
    if (kind == WORD_REST)
        return begun ? (uint64_t)1 << count : 0;
    return at | places_behind(begun, count);
}

static inline uint64_t after_word(const Name *name, const Words *word, uint64_t at) {
    int kind = kind_of(word), separator = separator_of(word);
    if (kind >= WORD_MANY)
        return after_open(kind, at, name->separators, separator, name->count);
    at &= name->separators[separator];
    return (kind == WORD_STAR ? at : name_equals(name, word, at)) << 1;
}

/* Whether the words that are left of a pattern can take all that the name has behind one of the places `at`. */
static inline int words_match(Words words, const Name *name, uint64_t at) {
    while (at && next_word(&words))
        at = after_word(name, &words, at);
    return at >> name->count & 1;
}

/* Never true for a name of more than LEVELS_MAX words. */
static inline int pattern_matches(const char *pattern, size_t pattern_length, const char *text, size_t length) {
    Name name;
    return name_split(&name, text, length) && words_match(words_of(pattern, pattern_length), &name, 1);
}

#endif
