/* Floor 0: the alphabet of STOMP on the wire.
 *
 *   scan_line      one header line: where it ends, where its first colon is, what it holds
 *   command_of     "SEND" -> COMMAND_SEND
 *   known_of       "destination" -> KNOWN_DESTINATION
 *   parse_number   digits -> unsigned integer
 *   put_number     unsigned integer -> digits
 *   escapes_valid, unescape, escape   header encoding of each version (STOMP 1.2, "Value Encoding")
 *   utf8_valid     strict UTF-8 (RFC 3629: no surrogates, no overlong forms)
 *
 * Every scanning function may read up to SCAN_SLACK bytes behind the end it was given; whoever owns
 * the buffer allocates that much more than it fills.
 */
#ifndef FASTBROKER_WIRE_H
#define FASTBROKER_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SCAN_SLACK 32

/* What a header line holds beyond plain printable ASCII; or'ed together over a frame. */
enum {
    SEEN_BACKSLASH = 1,
    SEEN_CR = 2,      /* not counting the CR of a CR LF that ends the line */
    SEEN_HIGH = 4,    /* a byte above 0x7f: UTF-8 must be checked */
    SEEN_COLON = 8,   /* a second colon, hence one in the value */
    SEEN_TRIMMED = 16, /* blanks around a name or value were cut off (STOMP 1.0) */
    SEEN_EMPTY = 32,   /* a value of no length */
    SEEN_REPLY = 64,   /* a reply-to that the broker put there */
    SEEN_PROPERTIES = 128, /* of a stored message: its Properties stand behind it */
    SEEN_AWAY = 256        /* of a stored message: its content is on the disk alone */
};

enum { LINE_MORE = 0, LINE_END = 1, LINE_NUL = 2 };

typedef struct Line {
    const char *end;   /* the LF or NUL that ends the line */
    const char *colon; /* first colon, or NULL */
    unsigned seen;
} Line;

enum {
    COMMAND_UNKNOWN, COMMAND_CONNECT, COMMAND_STOMP, COMMAND_SEND, COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE,
    COMMAND_ACK, COMMAND_NACK, COMMAND_BEGIN, COMMAND_COMMIT, COMMAND_ABORT, COMMAND_DISCONNECT,
    COMMAND_CONNECTED, COMMAND_MESSAGE, COMMAND_RECEIPT, COMMAND_ERROR
};

/* Header names with a meaning for the broker. */
enum {
    KNOWN_NONE, KNOWN_ACCEPT_VERSION, KNOWN_ACK, KNOWN_BROWSER, KNOWN_CONTENT_LENGTH, KNOWN_CREDIT,
    KNOWN_DESTINATION, KNOWN_HEART_BEAT, KNOWN_ID, KNOWN_LOGIN, KNOWN_MESSAGE_ID, KNOWN_PASSCODE,
    KNOWN_PREFETCH_COUNT, KNOWN_PREFETCH_SIZE, KNOWN_RECEIPT, KNOWN_REDELIVERED, KNOWN_REPLY_TO,
    KNOWN_REQUEUE, KNOWN_SELECTOR, KNOWN_SUBSCRIPTION, KNOWN_TRANSACTION,
    KNOWN_OURS,     /* what only the broker says of a message */
    KNOWN_PROPERTY, /* what the sender of a message asks for (property.h) */
    KNOWN_QUEUE,    /* what a client declares of a queue (declaring.pyx) */
    KNOWN_TYPE, /* whether a bare name is a queue or a topic, as Artemis has it */
    KNOWN_COUNT
};

#if defined(__SSE2__)

static inline unsigned mask_of(__m128i flags) {
    return (unsigned)_mm_movemask_epi8(flags);
}

/* Which of the SEEN_* kinds of byte are among those of the block that count. */
static inline unsigned seen_in(__m128i block, unsigned within) {
    unsigned seen = 0;
    if (mask_of(_mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))) & within)
        seen |= SEEN_BACKSLASH;
    if (mask_of(_mm_cmpeq_epi8(block, _mm_set1_epi8('\r'))) & within)
        seen |= SEEN_CR;
    if (mask_of(block) & within)
        seen |= SEEN_HIGH;
    return seen;
}

/* Sixteen bytes a step. One mask tells whether a byte is anything but plain: only then is it asked what. Of a line that
 * is not complete, `end` alone means something. */
static inline int scan_line(const char *start, const char *limit, Line *line) {
    const char *p;
    unsigned seen = 0;
    line->colon = NULL;
    for (p = start; p < limit; p += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i ends =
            _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(block, _mm_setzero_si128()));
        __m128i rare =
            _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('\\')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\r')));
        unsigned stop = mask_of(ends);
        unsigned within = stop ? (stop & (0u - stop)) - 1 : 0xffff; /* the bits below the first end of line */
        unsigned colon = mask_of(_mm_cmpeq_epi8(block, _mm_set1_epi8(':'))) & within;
        if (colon && line->colon == NULL) {
            line->colon = p + __builtin_ctz(colon);
            colon &= colon - 1; /* all but the first */
        }
        if (colon)
            seen |= SEEN_COLON;
        if (mask_of(_mm_or_si128(rare, block)) & within)
            seen |= seen_in(block, within);
        if (stop) {
            p += __builtin_ctz(stop);
            break;
        }
    }
    line->seen = seen;
    line->end = p < limit ? p : limit;
    if (p >= limit)
        return LINE_MORE;
    return *p == '\0' ? LINE_NUL : LINE_END;
}

#else

static inline int scan_line(const char *start, const char *limit, Line *line) {
    const char *p;
    unsigned seen = 0;
    line->colon = NULL;
    for (p = start; p < limit && *p != '\n' && *p != '\0'; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == ':') {
            if (line->colon == NULL)
                line->colon = p;
            else
                seen |= SEEN_COLON;
        } else if (byte == '\\') {
            seen |= SEEN_BACKSLASH;
        } else if (byte == '\r') {
            seen |= SEEN_CR;
        } else if (byte > 0x7f) {
            seen |= SEEN_HIGH;
        }
    }
    line->end = p;
    line->seen = seen;
    if (p == limit)
        return LINE_MORE;
    return *p == '\0' ? LINE_NUL : LINE_END;
}

#endif

#define IS(word) (memcmp(text, word, sizeof(word) - 1) == 0)

static inline int command_of(const char *text, size_t length) {
    switch (length) {
    case 3:
        return IS("ACK") ? COMMAND_ACK : IS("SUB") ? COMMAND_SUBSCRIBE : COMMAND_UNKNOWN;
    case 4:
        return IS("SEND") ? COMMAND_SEND : IS("NACK") ? COMMAND_NACK : COMMAND_UNKNOWN;
    case 5:
        return IS("BEGIN") ? COMMAND_BEGIN : IS("ABORT") ? COMMAND_ABORT : IS("STOMP") ? COMMAND_STOMP
             : IS("UNSUB") ? COMMAND_UNSUBSCRIBE : IS("ERROR") ? COMMAND_ERROR : COMMAND_UNKNOWN;
    case 6:
        return IS("COMMIT") ? COMMAND_COMMIT : COMMAND_UNKNOWN;
    case 7:
        return IS("CONNECT") ? COMMAND_CONNECT : IS("MESSAGE") ? COMMAND_MESSAGE
             : IS("RECEIPT") ? COMMAND_RECEIPT : COMMAND_UNKNOWN;
    case 9:
        return IS("SUBSCRIBE") ? COMMAND_SUBSCRIBE : IS("CONNECTED") ? COMMAND_CONNECTED : COMMAND_UNKNOWN;
    case 10:
        return IS("DISCONNECT") ? COMMAND_DISCONNECT : COMMAND_UNKNOWN;
    case 11:
        return IS("UNSUBSCRIBE") ? COMMAND_UNSUBSCRIBE : COMMAND_UNKNOWN;
    default:
        return COMMAND_UNKNOWN;
    }
}

static inline int known_of(const char *text, size_t length) {
    switch (length) {
    case 2:
        return IS("id") ? KNOWN_ID : KNOWN_NONE;
    case 3:
        return IS("ack") ? KNOWN_ACK : IS("ttl") ? KNOWN_PROPERTY : IS("gap") ? KNOWN_OURS : KNOWN_NONE;
    case 5:
        return IS("login") ? KNOWN_LOGIN : IS("delay") ? KNOWN_PROPERTY : KNOWN_NONE;
    case 6:
        return IS("credit") ? KNOWN_CREDIT : IS("retain") ? KNOWN_PROPERTY : KNOWN_NONE;
    case 7:
        return IS("receipt")   ? KNOWN_RECEIPT
               : IS("requeue") ? KNOWN_REQUEUE
               : IS("browser") ? KNOWN_BROWSER
               : IS("expires") ? KNOWN_PROPERTY
                               : KNOWN_NONE;
    case 8:
        return IS("passcode")   ? KNOWN_PASSCODE
               : IS("reply-to") ? KNOWN_REPLY_TO
               : IS("selector") ? KNOWN_SELECTOR
               : IS("priority") ? KNOWN_PROPERTY
               : IS("retained") ? KNOWN_OURS
                                : KNOWN_NONE;
    case 9:
        return IS("mandatory") ? KNOWN_PROPERTY : IS("x-expires") ? KNOWN_QUEUE : KNOWN_NONE;
    case 10:
        return IS("message-id") ? KNOWN_MESSAGE_ID : IS("heart-beat") ? KNOWN_HEART_BEAT
             : IS("expiration") || IS("persistent") ? KNOWN_PROPERTY
             : IS("x-overflow") ? KNOWN_QUEUE : KNOWN_NONE;
    case 11:
        return IS("destination") ? KNOWN_DESTINATION : IS("transaction") ? KNOWN_TRANSACTION
             : IS("redelivered") ? KNOWN_REDELIVERED : IS("JMSXGroupID") ? KNOWN_PROPERTY
             : IS("auto-delete") ? KNOWN_QUEUE : KNOWN_NONE;
    case 12:
        return IS("subscription") ? KNOWN_SUBSCRIPTION
               : IS("JMSXGroupSeq") || IS("_AMQ_DUPL_ID") || IS("receipt-info") ? KNOWN_PROPERTY
               : IS("x-max-length")                                             ? KNOWN_QUEUE
                                                                                : KNOWN_NONE;
    case 13:
        return IS("message_group") || IS("_AMQ_LVQ_NAME") ? KNOWN_PROPERTY
               : IS("x-message-ttl")                      ? KNOWN_QUEUE
                                                          : KNOWN_NONE;
    case 14:
        return IS("content-length") ? KNOWN_CONTENT_LENGTH : IS("accept-version") ? KNOWN_ACCEPT_VERSION
             : IS("prefetch-count") ? KNOWN_PREFETCH_COUNT : IS("delivery-count") ? KNOWN_OURS
             : IS("x-max-priority") ? KNOWN_QUEUE : KNOWN_NONE;
    case 15:
        return IS("ActiveMQ.Retain") ? KNOWN_PROPERTY : KNOWN_NONE;
    case 16:
        return IS("message-dedup-id")   ? KNOWN_PROPERTY
               : IS("dead-letter-text") ? KNOWN_OURS
               : IS("destination-type") ? KNOWN_TYPE
                                        : KNOWN_NONE;
    case 17:
        return IS("ActiveMQ.Retained") ? KNOWN_OURS : KNOWN_NONE;
    case 18:
        return IS("dead-letter-reason")                               ? KNOWN_OURS
               : IS("x-max-length-bytes")                             ? KNOWN_QUEUE
               : IS("AMQ_SCHEDULED_TIME") || IS("AMQ_SCHEDULED_CRON") ? KNOWN_PROPERTY
                                                                      : KNOWN_NONE;
    case 19:
        return IS("original-message-id") ? KNOWN_OURS : IS("AMQ_SCHEDULED_DELAY") ? KNOWN_PROPERTY : KNOWN_NONE;
    case 20:
        return IS("original-destination")                                   ? KNOWN_OURS
               : IS("AMQ_SCHEDULED_PERIOD") || IS("AMQ_SCHEDULED_REPEAT") ? KNOWN_PROPERTY
                                                                            : KNOWN_NONE;
    case 21:
        return IS("activemq.prefetchSize") ? KNOWN_PREFETCH_SIZE : KNOWN_NONE;
    case 22:
        return IS("x-dead-letter-exchange") ? KNOWN_QUEUE : KNOWN_NONE;
    case 25:
        return IS("x-dead-letter-routing-key") ? KNOWN_QUEUE : KNOWN_NONE;
    default:
        return KNOWN_NONE;
    }
}

#undef IS

/* *value is what the decimal digits say that the text begins with, at most `most` (at most 19). Returns how many. */
static inline size_t read_number(const char *text, size_t length, size_t most, uint64_t *value) {
    uint64_t number = 0;
    size_t i;
    for (i = 0; i < length && i < most && text[i] >= '0' && text[i] <= '9'; i++)
        number = number * 10 + (uint64_t)(text[i] - '0');
    *value = number;
    return i;
}

/* 1 and *value, or 0 when the text is anything but 1 to `most` (at most 19) decimal digits. */
static inline int parse_number(const char *text, size_t length, size_t most, uint64_t *value) {
    uint64_t number;
    if (length == 0 || length > most || read_number(text, length, most, &number) < length)
        return 0;
    *value = number;
    return 1;
}

#define NUMBER_SPACE 20
#define PLAIN_ACK_HEAD 7
#define PLAIN_ACK_LONGEST 48

static const char TWO_DIGITS[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                 "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                 "8081828384858687888990919293949596979899";

/* The least number with one digit more than the index says. */
static const uint64_t POWERS_OF_TEN[] = {
    0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
    10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
    10000000000000000000u};

/* A bit is 0.301 digits, or 1233 / 4096: so many, rounded down, are one too few or right. */
static inline size_t digits_of(uint64_t value) {
    size_t bits = 64 - (size_t)__builtin_clzll(value | 1);
    size_t least = bits * 1233 >> 12;
    return least + (value >= POWERS_OF_TEN[least]);
}

/* Writes the digits to `out` (NUMBER_SPACE bytes must be free) and returns how many. */
static inline size_t put_number(char *out, uint64_t value) {
    size_t length = digits_of(value);
    char *end = out + length;
    for (; value >= 100; value /= 100) {
        end -= 2;
        memcpy(end, &TWO_DIGITS[2 * (value % 100)], 2);
    }
    if (value >= 10)
        memcpy(out, &TWO_DIGITS[2 * value], 2);
    else
        *out = (char)('0' + value);
    return length;
}

/* A number that counts up together with its digits: cheaper than writing them anew for every message. */
typedef struct Counter {
    uint64_t value;
    size_t first; /* of the digits that count */
    char digits[NUMBER_SPACE + 1]; /* and the LF of a header line that ends with them */
} Counter;

static inline void counter_init(Counter *counter) {
    memset(counter->digits, '0', NUMBER_SPACE);
    counter->digits[NUMBER_SPACE] = '\n';
    counter->value = 0;
    counter->first = NUMBER_SPACE - 1;
}

/* It counts on from there. */
static inline void counter_set(Counter *counter, uint64_t value) {
    size_t length = digits_of(value);
    counter_init(counter);
    counter->value = value;
    counter->first = NUMBER_SPACE - length;
    put_number(counter->digits + counter->first, value);
}

static inline void counter_increment(Counter *counter) {
    size_t place = NUMBER_SPACE - 1;
    counter->value++;
    while (counter->digits[place] == '9')
        counter->digits[place--] = '0';
    counter->digits[place]++;
    if (place < counter->first)
        counter->first = place;
}

/* The digits with the LF behind them: where they stand, and how many bytes. */
static inline const char *counter_line(const Counter *counter, size_t *length) {
    *length = NUMBER_SPACE + 1 - counter->first;
    return counter->digits + counter->first;
}

/* The length of the id if the frame is what nearly all are that acknowledge, whole and with an id as we write them:
 *
 *     ACK LF id:<digits and dashes> LF LF NUL
 *
 * 0 otherwise: then it is read like any other frame. */
static inline size_t scan_plain_ack(const char *p, const char *limit) {
    const char *id = p + PLAIN_ACK_HEAD, *end = id;
    if (limit - p <= PLAIN_ACK_HEAD || memcmp(p, "ACK\nid:", PLAIN_ACK_HEAD) != 0)
        return 0;
    while (end < limit && end - id < PLAIN_ACK_LONGEST && (*end == '-' || (*end >= '0' && *end <= '9')))
        end++;
    return limit - end >= 3 && end[0] == '\n' && end[1] == '\n' && end[2] == '\0' ? (size_t)(end - id) : 0;
}

static inline int is_continuation(const char *p, const char *end) {
    return p < end && ((unsigned char)*p & 0xc0) == 0x80;
}

#if defined(__SSE2__)
#define ASCII_STEP 32

/* How many bytes at the front of a step are ASCII. */
static inline int ascii_run(const char *p) {
    unsigned one = mask_of(_mm_loadu_si128((const __m128i *)(const void *)p));
    unsigned two = mask_of(_mm_loadu_si128((const __m128i *)(const void *)(p + 16)));
    return one | two ? __builtin_ctz(one | two << 16) : ASCII_STEP;
}

#else
#define ASCII_STEP 8

static inline int ascii_run(const char *p) {
    int run = 0;
    uint64_t bytes;
    memcpy(&bytes, p, 8);
    if ((bytes & 0x8080808080808080u) == 0)
        return ASCII_STEP;
    while (!(p[run] & 0x80))
        run++;
    return run;
}

#endif

/* The first byte above 0x7f, or `end`. */
static inline const char *skip_ascii(const char *p, const char *end) {
    int run = ASCII_STEP;
    if (end - p >= ASCII_STEP) {
        for (; end - p >= ASCII_STEP && run == ASCII_STEP; p += run)
            run = ascii_run(p);
        if (run < ASCII_STEP || ascii_run(end - ASCII_STEP) == ASCII_STEP) /* the last step looks at some bytes again */
            return run < ASCII_STEP ? p : end;
    }
    while (p < end && !(*p & 0x80))
        p++;
    return p;
}

static inline int utf8_valid(const char *p, size_t length) {
    const char *end = p + length;
    while (p < end) {
        unsigned char lead = (unsigned char)*p++;
        unsigned char next = p < end ? (unsigned char)*p : 0;
        int more;
        if (lead < 0x80) {
            p = skip_ascii(p, end);
            continue;
        }
        if (lead < 0xc2 || lead > 0xf4)
            return 0;
        if ((lead == 0xe0 && next < 0xa0) || (lead == 0xed && next > 0x9f) || (lead == 0xf0 && next < 0x90)
            || (lead == 0xf4 && next > 0x8f))
            return 0;
        for (more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3; more > 0; more--, p++)
            if (!is_continuation(p, end))
                return 0;
    }
    return 1;
}

/* Header encoding: 1.0 has none; 1.1 knows \n \c \\; 1.2 knows \r as well. */

static inline int escapes_valid(const char *text, size_t length, int version) {
    size_t i;
    for (i = 0; i < length; i++) {
        if (text[i] != '\\')
            continue;
        if (++i == length)
            return 0;
        if (text[i] != 'n' && text[i] != 'c' && text[i] != '\\' && !(text[i] == 'r' && version == 12))
            return 0;
    }
    return 1;
}

/* Decodes valid escapes into `out` (at most `length` bytes) and returns the new length. */
static inline size_t unescape(char *out, const char *text, size_t length, int version) {
    size_t i, n = 0;
    if (version < 11) {
        memcpy(out, text, length);
        return length;
    }
    for (i = 0; i < length; i++) {
        char byte = text[i];
        if (byte == '\\' && i + 1 < length) {
            byte = text[++i];
            byte = byte == 'n' ? '\n' : byte == 'c' ? ':' : byte == 'r' ? '\r' : byte;
        }
        out[n++] = byte;
    }
    return n;
}

static inline char escape_letter(char byte, int version) {
    switch (byte) {
    case '\n':
        return 'n';
    case ':':
        return 'c';
    case '\\':
        return '\\';
    case '\r':
        return version == 12 ? 'r' : '\0';
    default:
        return '\0';
    }
}

/* Encodes into `out` (at most twice `length` bytes). What a version cannot say, a line end in 1.0 and a CR in 1.1,
 * becomes a blank, so that no text can smuggle in a line of its own. */
static inline size_t escape(char *out, const char *text, size_t length, int version) {
    size_t i, n = 0;
    for (i = 0; i < length; i++) {
        char byte = text[i];
        char letter = version < 11 ? '\0' : escape_letter(byte, version);
        if (letter != '\0') {
            out[n++] = '\\';
            byte = letter;
        } else if (byte == '\n' || byte == '\r') {
            byte = ' ';
        }
        out[n++] = byte;
    }
    return n;
}

#endif
