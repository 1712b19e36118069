/* Floor 1: whether a message is what a subscriber wants. selector.pyx makes a program of what it wrote:
 *
 *     price > 10 AND (colour = 'red' OR colour LIKE 'gr%')
 *
 *     0  HEADER price                     a stack: what a header says, NULL where there is none
 *     1  WHOLE 10
 *     2  COMPARE greater                  two come off, what comes of them goes on
 *     3  UNLESS false, go to 13           it stays, and the other half need not be looked at
 *     4  HEADER colour
 *     5  TEXT red
 *     6  COMPARE equal
 *     7  UNLESS true, go to 12
 *     8  HEADER colour
 *     9  LIKE, 2 parts                    which stand behind it
 *    10     TEXT gr
 *    11     RUN                           any number of characters; ONE is one
 *    12  OR
 *    13  AND
 *
 * The logic has three values: true, false, and NULL for what nobody knows. Only true selects.
 *
 * It reads the header lines as they stand, in 1.2 encoding, and its own texts are in that encoding, too: nothing is
 * decoded, equal texts are equal bytes. A header is text; where it meets a number, or true or false, it is one if it
 * looks like one.
 *
 * Nothing is allocated, and the steps of a run are bounded: what would take more selects nothing.
 */
#ifndef FASTBROKER_SELECTOR_H
#define FASTBROKER_SELECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "csrc/property.h"
#include "csrc/wire.h"

enum {
    SELECTOR_STACK = 32,   /* values at a time */
    SELECTOR_NAMES = 32,   /* headers that one selector may name */
    SELECTOR_STEPS = 1024, /* of one run ... */
    SELECTOR_OPS = 512,    /* ... of which no more than so many are of its own making */
    LONGEST_NUMBER = 64,   /* characters; what is longer does not look like one */
    ID_PREFIX_MOST = 64
};

enum {
    OP_HEADER, OP_FACT, OP_TEXT, OP_WHOLE, OP_REAL, OP_TRUTH,
    OP_COMPARE, OP_BETWEEN, OP_IN, OP_LIKE, OP_ONE, OP_RUN, OP_IS_NULL,
    OP_UNLESS, OP_AND, OP_OR, OP_NOT, OP_OTHERWISE, OP_AS_TRUTH, OP_AS_NUMBER, OP_AS_WORD,
    OP_NEGATE, OP_ADD, OP_SUBTRACT, OP_MULTIPLY, OP_DIVIDE, OP_REMAINDER
};

/* What COMPARE takes for true, as bits. Texts, true and false have no order: they are equal, or not. */
enum { RELATION_LESS = 1, RELATION_EQUAL = 2, RELATION_GREATER = 4, RELATION_OTHER = 5 };

enum { FACT_PRIORITY, FACT_EXPIRES, FACT_ID, FACT_SIZE, FACT_DELIVERIES, FACT_REDELIVERED };

typedef struct Op {
    uint8_t what;
    uint8_t flag;   /* of COMPARE a relation, of TRUTH and UNLESS which */
    uint16_t count; /* of IN and LIKE, the ops behind it; of AS_WORD, the bytes of the first word */
    uint32_t place; /* of a name, of another op, or which FACT_* */
    union {
        int64_t whole;
        double real;
        struct {
            uint32_t start, length; /* in `texts` */
        };
    };
} Op;

typedef struct HeaderName {
    const char *text;
    size_t length;
} HeaderName;

/* Of headers that are looked for. */
typedef struct Names {
    const HeaderName *all;
    uint32_t count;
    uint64_t lengths; /* as bits; the last is for all that are longer */
} Names;

typedef struct Program {
    const Op *ops;
    Names names;
    const char *texts;
    const char *id_prefix; /* what a message-id has in front of its number */
    uint32_t id_prefix_length;
    uint32_t op_count;
} Program;

/* What a message is beside its header lines. */
typedef struct Facts {
    const char *head;
    size_t head_length;
    size_t body_length;
    const Properties *properties; /* NULL: what is usual */
    uint64_t number;
    uint32_t deliveries; /* this one included */
} Facts;

typedef enum { IS_NULL, IS_TRUTH, IS_WHOLE, IS_REAL, IS_TEXT, IS_HEADER } ValueKind;

/* Two machine words: what is copied on the stack, and handed from function to function in registers. */
typedef struct Value {
    ValueKind kind;
    union {
        int64_t truth;
        int64_t whole;
        double real;
        struct Span *span; /* of a text or a header */
    };
} Value;

typedef struct Span {
    const char *text; /* NULL: there is no such header */
    size_t length;
    Value number; /* that a header looks like; IS_HEADER: nobody has asked yet */
} Span;

static inline Value value_null(void) {
    Value value = {IS_NULL, {0}};
    return value;
}

static inline Value value_truth(int truth) {
    Value value = {IS_TRUTH, {truth}};
    return value;
}

static inline Value value_whole(int64_t whole) {
    Value value = {IS_WHOLE, {whole}};
    return value;
}

/* What is no number (infinity less infinity) nobody knows. */
static inline Value value_real(double real) {
    Value value = {IS_REAL, {0}};
    value.real = real;
    return isnan(real) ? value_null() : value;
}

static inline Value value_of_header(Span *span) {
    Value value = {IS_HEADER, {0}};
    value.span = span;
    return span->text == NULL ? value_null() : value;
}

static inline Value value_of_text(Span *span, const char *text, size_t length) {
    Value value = {IS_TEXT, {0}};
    span->text = text;
    span->length = length;
    value.span = span;
    return value;
}

/* ---- numbers ---- */

typedef struct Digits {
    uint64_t number;
    int count;    /* without zeros in front */
    int fraction; /* so many of them behind the point */
    int seen;
} Digits;

static inline const char *read_digits(const char *p, const char *end, Digits *digits, int behind_point) {
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        digits->seen = 1;
        digits->fraction += behind_point;
        digits->count += digits->count > 0 || *p != '0';
        digits->number = digits->number * 10 + (uint64_t)(*p - '0');
    }
    return p;
}

/* As the C library reads it, which wants a NUL behind it. */
static inline Value number_slowly(const char *text, size_t length) {
    char copy[LONGEST_NUMBER + 1];
    memcpy(copy, text, length);
    copy[length] = '\0';
    return value_real(strtod(copy, NULL));
}

/* One multiplication or division of two numbers that are exact rounds as it must; all else goes the slow way. */
static inline Value number_with_point(const char *text, size_t length, const Digits *digits, int exponent,
                                      int negative) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double real = (double)digits->number;
    int power = exponent - digits->fraction;
    if (digits->count > 15 || power > 22 || power < -22)
        return number_slowly(text, length);
    real = power < 0 ? real / tens[-power] : real * tens[power];
    return value_real(negative ? -real : real);
}

/* [+-] digits [. digits] [e [+-] digits]; NULL for anything else. */
static inline Value number_of_text(const char *text, size_t length) {
    const char *p = text, *end = text + length;
    Digits digits = {0, 0, 0, 0}, exponent = {0, 0, 0, 0};
    int negative = length > 0 && *p == '-', falls = 0, is_whole;
    if (length > LONGEST_NUMBER)
        return value_null();
    p = read_digits(p + (negative || (length > 0 && *p == '+')), end, &digits, 0);
    is_whole = p == end && digits.count <= 18;
    if (p < end && *p == '.')
        p = read_digits(p + 1, end, &digits, 1);
    if (p < end && digits.seen && (*p == 'e' || *p == 'E')) {
        falls = p + 1 < end && p[1] == '-';
        p = read_digits(p + 1 + (falls || (p + 1 < end && p[1] == '+')), end, &exponent, 0);
        if (!exponent.seen)
            return value_null();
    }
    if (p != end || !digits.seen)
        return value_null();
    if (is_whole)
        return value_whole(negative ? -(int64_t)digits.number : (int64_t)digits.number);
    if (exponent.count > 4)
        return number_slowly(text, length);
    return number_with_point(text, length, &digits, falls ? -(int)exponent.number : (int)exponent.number, negative);
}

static inline int is_number(Value value) {
    return value.kind == IS_WHOLE || value.kind == IS_REAL;
}

/* A number; NULL for what is none. A header is read once, however often it is asked for. */
static inline Value as_number(Value value) {
    if (value.kind != IS_HEADER)
        return is_number(value) ? value : value_null();
    if (value.span->number.kind == IS_HEADER)
        value.span->number = number_of_text(value.span->text, value.span->length);
    return value.span->number;
}

static inline double real_of(Value number) {
    return number.kind == IS_WHOLE ? (double)number.whole : number.real;
}

/* Where two are whole so is the result, as in Java; one that is too large for that is not. */
static inline Value calculated_whole(int what, int64_t a, int64_t b) {
    int64_t whole = 0;
    switch (what) {
    case OP_ADD:
        return __builtin_add_overflow(a, b, &whole) ? value_real((double)a + (double)b) : value_whole(whole);
    case OP_SUBTRACT:
        return __builtin_sub_overflow(a, b, &whole) ? value_real((double)a - (double)b) : value_whole(whole);
    case OP_MULTIPLY:
        return __builtin_mul_overflow(a, b, &whole) ? value_real((double)a * (double)b) : value_whole(whole);
    case OP_DIVIDE:
        return b == -1 ? calculated_whole(OP_SUBTRACT, 0, a) : value_whole(a / b);
    default:
        return value_whole(b == -1 ? 0 : a % b);
    }
}

/* NULL for what is no number, and for what is divided by nothing. */
static inline Value calculated(int what, Value left, Value right) {
    Value a = as_number(left), b = as_number(right);
    if (a.kind == IS_NULL || b.kind == IS_NULL || (what >= OP_DIVIDE && real_of(b) == 0))
        return value_null();
    if (a.kind == IS_WHOLE && b.kind == IS_WHOLE)
        return calculated_whole(what, a.whole, b.whole);
    switch (what) {
    case OP_ADD:
        return value_real(real_of(a) + real_of(b));
    case OP_SUBTRACT:
        return value_real(real_of(a) - real_of(b));
    case OP_MULTIPLY:
        return value_real(real_of(a) * real_of(b));
    case OP_DIVIDE:
        return value_real(real_of(a) / real_of(b));
    default:
        return value_real(fmod(real_of(a), real_of(b)));
    }
}

static inline Value negated_number(Value value) {
    Value zero = value_whole(0), number = as_number(value);
    return number.kind == IS_REAL ? value_real(-number.real) : calculated(OP_SUBTRACT, zero, number);
}

/* ---- comparing ---- */

static inline int is_text(Value value) {
    return value.kind == IS_TEXT || value.kind == IS_HEADER;
}

static inline int is_word(Value value, const char *word, size_t length) {
    size_t i;
    if (value.span->length != length)
        return 0;
    for (i = 0; i < length; i++)
        if ((value.span->text[i] | 0x20) != word[i])
            return 0;
    return 1;
}

/* True, false, or NULL where nothing is there. What is none of them is false, as JMS has it. */
static inline Value as_truth(Value value) {
    if (value.kind == IS_NULL || value.kind == IS_TRUTH)
        return value;
    return value_truth(value.kind == IS_HEADER && is_word(value, "true", 4));
}

static inline int reads_as_truth(Value value) {
    return value.kind == IS_TRUTH
           || (value.kind == IS_HEADER && (is_word(value, "true", 4) || is_word(value, "false", 5)));
}

static inline int same_text(Value a, Value b) {
    return a.span->length == b.span->length && memcmp(a.span->text, b.span->text, a.span->length) == 0;
}

static inline int relation_of_numbers(Value a, Value b) {
    if (a.kind == IS_WHOLE && b.kind == IS_WHOLE)
        return a.whole < b.whole ? RELATION_LESS : a.whole == b.whole ? RELATION_EQUAL : RELATION_GREATER;
    return real_of(a) < real_of(b) ? RELATION_LESS : real_of(a) == real_of(b) ? RELATION_EQUAL : RELATION_GREATER;
}

/* How two that are there stand to each other, as a bit of `wanted`; 0 where they are not alike: that is false then. */
static inline int relation_of(Value left, Value right, int wanted) {
    int has_order = wanted != RELATION_EQUAL && wanted != RELATION_OTHER;
    Value a, b;
    if (left.kind == IS_TRUTH || right.kind == IS_TRUTH) {
        if (has_order || !reads_as_truth(left) || !reads_as_truth(right))
            return 0;
        return as_truth(left).truth == as_truth(right).truth ? RELATION_EQUAL : RELATION_OTHER;
    }
    if (is_text(left) && is_text(right) && !has_order) {
        if (same_text(left, right))
            return RELATION_EQUAL;
        if (left.kind == IS_TEXT || right.kind == IS_TEXT)
            return RELATION_OTHER;
    }
    a = as_number(left);
    b = as_number(right);
    if (a.kind != IS_NULL && b.kind != IS_NULL)
        return relation_of_numbers(a, b);
    return is_text(left) && is_text(right) && !has_order ? RELATION_OTHER : 0;
}

static inline Value compared(Value left, Value right, int wanted) {
    if (left.kind == IS_NULL || right.kind == IS_NULL)
        return value_null();
    return value_truth((relation_of(left, right, wanted) & wanted) != 0);
}

/* ---- three values ---- */

static inline Value both(Value a, Value b) {
    if ((a.kind == IS_TRUTH && !a.truth) || (b.kind == IS_TRUTH && !b.truth))
        return value_truth(0);
    return a.kind == IS_NULL || b.kind == IS_NULL ? value_null() : value_truth(1);
}

static inline Value not_so(Value value) {
    return value.kind == IS_NULL ? value : value_truth(!value.truth);
}

static inline Value either(Value a, Value b) {
    Value no = not_so(a), nor = not_so(b), neither = both(no, nor);
    return not_so(neither);
}

static inline Value between(Value value, Value low, Value high) {
    Value above = compared(value, low, RELATION_GREATER | RELATION_EQUAL);
    Value below = compared(value, high, RELATION_LESS | RELATION_EQUAL);
    return both(above, below);
}

/* ---- headers ---- */

static inline uint64_t length_bit(size_t length) {
    return (uint64_t)1 << (length < 63 ? length : 63);
}

/* The first of each name counts (STOMP 1.2, "Repeated Header Entries"). Returns how many were found by this line. */
static inline uint32_t note_header(const Names *names, Span *found, const char *line, const char *colon,
                                   const char *end, int64_t *steps) {
    size_t length = (size_t)(colon - line);
    uint32_t i;
    for (i = 0; i < names->count; i++) {
        if (names->all[i].length == length && memcmp(names->all[i].text, line, length) == 0) {
            *steps += i;
            if (found[i].text != NULL)
                return 0;
            found[i].text = colon + 1;
            found[i].length = (size_t)(end - colon - 1);
            found[i].number.kind = IS_HEADER;
            return 1;
        }
    }
    *steps += i;
    return 0;
}

/* What header lines say of some, in so many steps at most. */
static inline void find_headers(const Names *names, const char *line, size_t length, Span *found, int64_t most,
                                int64_t *steps) {
    const char *end = line + length;
    uint32_t missing = names->count, i;
    for (i = 0; i < missing; i++)
        found[i].text = NULL;
    while (missing && line < end && *steps < most) {
        const char *colon = (const char *)memchr(line, ':', (size_t)(end - line));
        const char *stop = colon ? (const char *)memchr(colon, '\n', (size_t)(end - colon)) : NULL;
        if (stop == NULL)
            return;
        if (names->lengths & length_bit((size_t)(colon - line)))
            missing -= note_header(names, found, line, colon, stop, steps);
        *steps += 1 + (stop - line) / 64;
        line = stop + 1;
    }
}

/* ---- one run ---- */

typedef struct Run {
    const Program *program;
    const Facts *facts;
    int64_t steps;
    Span headers[SELECTOR_NAMES];
    Span texts[SELECTOR_STACK + 1]; /* each at the place of its value */
    char id[ID_PREFIX_MOST + NUMBER_SPACE];
} Run;

static inline Value message_id(Run *run, Span *span) {
    size_t length = run->program->id_prefix_length;
    memcpy(run->id, run->program->id_prefix, length);
    return value_of_text(span, run->id, length + put_number(run->id + length, run->facts->number));
}

static inline Value fact(Run *run, uint32_t which, Span *span) {
    const Facts *facts = run->facts;
    switch (which) {
    case FACT_PRIORITY:
        return value_whole(facts->properties ? facts->properties->priority : USUAL_PRIORITY);
    case FACT_EXPIRES:
        return value_whole(facts->properties ? (int64_t)facts->properties->expires : 0);
    case FACT_ID:
        return message_id(run, span);
    case FACT_SIZE:
        return value_whole((int64_t)(facts->head_length + facts->body_length));
    case FACT_DELIVERIES:
        return value_whole(facts->deliveries);
    default:
        return value_truth(facts->deliveries > 1);
    }
}

static inline Value constant(const Program *program, const Op *op, Span *span) {
    switch (op->what) {
    case OP_TEXT:
        return value_of_text(span, program->texts + op->start, op->length);
    case OP_WHOLE:
        return value_whole(op->whole);
    case OP_REAL:
        return value_real(op->real);
    default:
        return value_truth(op->flag);
    }
}

static inline Value is_in(Run *run, const Op *op, Value value) {
    Span span;
    uint16_t i;
    if (value.kind == IS_NULL)
        return value;
    for (i = 1; i <= op->count; i++) {
        run->steps++;
        if (relation_of(value, constant(run->program, op + i, &span), RELATION_EQUAL) == RELATION_EQUAL)
            return value_truth(1);
    }
    return value_truth(0);
}

/* ---- LIKE ---- */

/* Behind one character of a text in 1.2 encoding: an escape is one, and so is what UTF-8 writes in several bytes. */
static inline const char *behind_one(const char *p, const char *end) {
    if (*p == '\\' && p + 1 < end)
        return p + 2;
    for (p++; is_continuation(p, end); p++)
        ;
    return p;
}

static inline int takes_part(Run *run, const Op *part, const char **p, const char *end) {
    if (part->what == OP_ONE) {
        if (*p == end)
            return 0;
        *p = behind_one(*p, end);
        return 1;
    }
    run->steps += part->length / 32;
    if ((size_t)(end - *p) < part->length || memcmp(*p, run->program->texts + part->start, part->length) != 0)
        return 0;
    *p += part->length;
    return 1;
}

/* The next place where what follows a RUN could begin. Where the text has escapes it is the next character: a byte of
 * one may look like another character. */
static inline const char *next_place(Run *run, const Op *part, const char *p, const char *end, int has_escapes) {
    const char *found = behind_one(p, end);
    if (!has_escapes && part->what == OP_TEXT) {
        found = (const char *)memchr(found, run->program->texts[part->start], (size_t)(end - found));
        found = found ? found : end;
        run->steps += (found - p) / 32;
    }
    return found;
}

/* From the last RUN on it is tried again, one place further: what stands in front of that needs no other place. */
static inline int is_like(Run *run, const Op *part, const Op *last, const char *p, const char *end) {
    int has_escapes = memchr(p, '\\', (size_t)(end - p)) != NULL;
    const Op *again = NULL;
    const char *place = p;
    for (; run->steps < SELECTOR_STEPS; run->steps++) {
        if (part < last && part->what == OP_RUN) {
            again = ++part;
            place = p;
            if (again == last)
                return 1;
        } else if (part == last && p == end) {
            return 1;
        } else if (part < last && takes_part(run, part, &p, end)) {
            part++;
        } else if (again == NULL || place == end) {
            return 0;
        } else {
            p = place = next_place(run, again, place, end, has_escapes);
            part = again;
        }
    }
    return 0;
}

static inline Value likeness(Run *run, const Op *op, Value value) {
    const Span *span = value.span;
    if (value.kind == IS_NULL)
        return value;
    if (!is_text(value))
        return value_truth(0);
    return value_truth(is_like(run, op + 1, op + 1 + op->count, span->text, span->text + span->length));
}

/* ---- what an op does ---- */

/* One word if a header is true, and the other if it is not. */
static inline Value as_word(const Program *program, const Op *op, Value value, Span *span) {
    const char *words = program->texts + op->start;
    if (value.kind == IS_HEADER && is_word(value, "true", 4))
        return value_of_text(span, words, op->count);
    return value_of_text(span, words + op->count, op->length - op->count);
}

static inline Value of_one(Run *run, const Op *op, Value value, Span *span) {
    switch (op->what) {
    case OP_IN:
        return is_in(run, op, value);
    case OP_LIKE:
        return likeness(run, op, value);
    case OP_IS_NULL:
        return value_truth(value.kind == IS_NULL);
    case OP_NOT:
        return not_so(value);
    case OP_AS_TRUTH:
        return as_truth(value);
    case OP_AS_NUMBER:
        return as_number(value);
    case OP_AS_WORD:
        return as_word(run->program, op, value, span);
    default:
        return negated_number(value);
    }
}

static inline Value of_two(const Op *op, Value left, Value right) {
    switch (op->what) {
    case OP_COMPARE:
        return compared(left, right, op->flag);
    case OP_AND:
        return both(left, right);
    case OP_OR:
        return either(left, right);
    case OP_OTHERWISE:
        return left.kind == IS_NULL ? right : left;
    default:
        return calculated(op->what, left, right);
    }
}

static inline Value evaluated(Run *run) {
    Value stack[SELECTOR_STACK + 1], *top = stack; /* the last one; the first place is nobody's */
    Span *texts = run->texts;
    const Op *ops = run->program->ops, *op = ops, *end = ops + run->program->op_count;
    top->kind = IS_NULL;
    for (; op < end && run->steps < SELECTOR_STEPS; op++, run->steps++) {
        switch (op->what) {
        case OP_HEADER:
            *++top = value_of_header(&run->headers[op->place]);
            break;
        case OP_FACT:
            top++;
            *top = fact(run, op->place, &texts[top - stack]);
            break;
        case OP_TEXT: case OP_WHOLE: case OP_REAL: case OP_TRUTH:
            top++;
            *top = constant(run->program, op, &texts[top - stack]);
            break;
        case OP_UNLESS:
            if (top->kind == IS_TRUTH && top->truth == op->flag)
                op = ops + op->place - 1;
            break;
        case OP_IN: case OP_LIKE:
            *top = of_one(run, op, *top, NULL);
            op += op->count;
            break;
        case OP_IS_NULL: case OP_NOT: case OP_AS_TRUTH: case OP_AS_NUMBER: case OP_AS_WORD: case OP_NEGATE:
            *top = of_one(run, op, *top, &texts[top - stack]);
            break;
        case OP_BETWEEN:
            top -= 2;
            *top = between(top[0], top[1], top[2]);
            break;
        default:
            top--;
            *top = of_two(op, top[0], top[1]);
        }
    }
    return op < end ? value_null() : *top;
}

/* Whether it is true of a message. What it took is added to `steps`. */
static inline int selector_run(const Program *program, const Facts *facts, int64_t *steps) {
    Run run;
    Value result;
    run.program = program;
    run.facts = facts;
    run.steps = 0;
    find_headers(&program->names, facts->head, facts->head_length, run.headers, SELECTOR_STEPS, &run.steps);
    result = evaluated(&run);
    *steps += run.steps;
    return run.steps < SELECTOR_STEPS && result.kind == IS_TRUTH && result.truth;
}

/* ---- keys ----
 *
 *     colour = 'red' [AND ...]        nothing else can be wanted than what has that value in that header: it is the key
 *
 * Keys are hashes with a secret seed: two that are alike are of the same name and value. Numbers are hashed as such, so
 * a header has two if it looks like one.
 */

static inline uint64_t key_of_text(const HeaderName *name, const char *text, size_t length, uint64_t seed) {
    return property_hash(text, length, property_hash(name->text, name->length, seed));
}

static inline uint64_t key_of_number(const HeaderName *name, Value number, uint64_t seed) {
    double real = real_of(number) + 0.0; /* there is no other zero */
    return property_hash((const char *)&real, sizeof real, ~property_hash(name->text, name->length, seed));
}

/* Whether it cannot be true if its first comparison is not. */
static inline int stands_on_first(const Program *program) {
    const Op *ops = program->ops;
    uint32_t place = 3;
    if (program->op_count < 3 || ops[0].what != OP_HEADER || ops[1].what < OP_TEXT || ops[1].what > OP_REAL
        || ops[2].what != OP_COMPARE || ops[2].flag != RELATION_EQUAL)
        return 0;
    while (place < program->op_count && ops[place].what == OP_UNLESS && !ops[place].flag)
        place = ops[place].place;
    return place == program->op_count;
}

/* 0: it has none. */
static inline uint64_t selector_key(const Program *program, uint64_t seed) {
    const HeaderName *name;
    Value value;
    Span span;
    if (!stands_on_first(program))
        return 0;
    name = &program->names.all[program->ops[0].place];
    value = constant(program, &program->ops[1], &span);
    return value.kind == IS_TEXT ? key_of_text(name, span.text, span.length, seed) : key_of_number(name, value, seed);
}

#endif
