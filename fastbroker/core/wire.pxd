"""Floor 0 as Cython sees it: scanning, lists, growing text, output buffers, timers, counts."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "csrc/wire.h" nogil:
    enum:
        SCAN_SLACK
        SEEN_BACKSLASH
        SEEN_CR
        SEEN_HIGH
        SEEN_COLON
        SEEN_TRIMMED
        SEEN_EMPTY
        SEEN_REPLY
        SEEN_AWAY
        SEEN_PROPERTIES
        LINE_MORE
        LINE_END
        LINE_NUL
        NUMBER_SPACE
    enum:
        COMMAND_UNKNOWN
        COMMAND_CONNECT
        COMMAND_STOMP
        COMMAND_SEND
        COMMAND_SUBSCRIBE
        COMMAND_UNSUBSCRIBE
        COMMAND_ACK
        COMMAND_NACK
        COMMAND_BEGIN
        COMMAND_COMMIT
        COMMAND_ABORT
        COMMAND_DISCONNECT
    enum:
        KNOWN_NONE
        KNOWN_ACCEPT_VERSION
        KNOWN_ACK
        KNOWN_BROWSER
        KNOWN_CONTENT_LENGTH
        KNOWN_CREDIT
        KNOWN_DESTINATION
        KNOWN_HEART_BEAT
        KNOWN_ID
        KNOWN_LOGIN
        KNOWN_MESSAGE_ID
        KNOWN_PASSCODE
        KNOWN_PREFETCH_COUNT
        KNOWN_PREFETCH_SIZE
        KNOWN_RECEIPT
        KNOWN_REDELIVERED
        KNOWN_REPLY_TO
        KNOWN_REQUEUE
        KNOWN_SELECTOR
        KNOWN_SUBSCRIPTION
        KNOWN_TRANSACTION
        KNOWN_OURS
        KNOWN_PROPERTY
        KNOWN_QUEUE
        KNOWN_TYPE
        KNOWN_COUNT
    struct Line:
        const char *end
        const char *colon
        unsigned seen
    int scan_line(const char *start, const char *limit, Line *line)
    int command_of(const char *text, size_t length)
    int known_of(const char *text, size_t length)
    int parse_number(const char *text, size_t length, size_t most, uint64_t *value)
    size_t read_number(const char *text, size_t length, size_t most, uint64_t *value)
    size_t put_number(char *out, uint64_t value)
    struct Counter:
        uint64_t value
    void counter_init(Counter *counter)
    void counter_set(Counter *counter, uint64_t value)
    void counter_increment(Counter *counter)
    const char *counter_line(const Counter *counter, size_t *length)
    enum:
        PLAIN_ACK_HEAD
    size_t scan_plain_ack(const char *p, const char *limit)
    int utf8_valid(const char *text, size_t length)
    int escapes_valid(const char *text, size_t length, int version)
    size_t unescape(char *out, const char *text, size_t length, int version)
    size_t escape(char *out, const char *text, size_t length, int version)

cdef extern from "csrc/ring.h" nogil:
    struct Link:
        Link *next
        Link *previous
        void *owner
    void ring_init(Link *head)
    int ring_empty(const Link *head)
    void link_init(Link *link, void *owner)
    int link_joined(const Link *link)
    void link_leave(Link *link)
    void link_join(Link *head, Link *link)
    void *ring_take(Link *head)
    void ring_splice(Link *to, Link *source)

cdef extern from "csrc/places.h" nogil:
    struct Place:
        Link link
    struct Places:
        uint32_t taken
    void places_init(Places *places, uint32_t most, uint64_t least, uint64_t seed)
    void place_init(Place *place, void *owner)
    void place_take(Places *places, Place *place, const char *peer, size_t length, uint64_t now)
    void place_spoken(Place *place)
    void place_leave(Places *places, Place *place)
    int places_too_many(const Places *places)
    void *places_slowest(const Places *places, const Place *newcomer, uint64_t now)

cdef extern from "csrc/census.h" nogil:
    struct Census:
        int64_t connections
        int64_t sessions
        int64_t subscriptions
        int64_t queues
        int64_t routes
        int64_t messages
        int64_t deliveries
        int64_t transactions
        int64_t memory
        int64_t input
        int64_t work
        int64_t messages_in
        int64_t messages_out
        int64_t bytes_out
        int64_t dropped
        int64_t dead_lettered
        int64_t scheduled
        int64_t dead_dropped
        int64_t replies_dropped
        int64_t conflated
        int64_t expired
    struct Ceiling:
        const Census *census
        int64_t limit
        int64_t reserve
    int64_t census_spent(const Census *census)
    void ceiling_init(Ceiling *ceiling, const Census *census, int64_t limit)
    int ceiling_closed(const Ceiling *ceiling)
    int ceiling_grants(const Ceiling *ceiling, int64_t bytes)
    int ceiling_reached(const Ceiling *ceiling)
    int ceiling_open(const Ceiling *ceiling)
    int ceiling_closed_again(const Ceiling *ceiling)
    int ceiling_parked_full(const Ceiling *ceiling)
    int ceiling_input_full(const Ceiling *ceiling)
    struct Account:
        int64_t bytes
        int64_t *total
    void account_charge(Account *account, int64_t bytes)

cdef extern from "csrc/text.h" nogil:
    struct Text:
        char *bytes
        size_t start
        size_t end
        size_t capacity
        int64_t *counted
    size_t text_length(const Text *text)
    void text_free(Text *text)
    char *text_reserve(Text *text, size_t needed)
    int text_put(Text *text, const char *bytes, size_t length)
    void text_use(Text *text, size_t length)

cdef extern from "csrc/flow.h" nogil:
    struct Flow:
        size_t backlog
        size_t aside
        uint64_t slow_since
        uint8_t overdue
        uint8_t policy
        uint64_t pressed
        uint64_t told
        uint64_t dropped
        Link waiters
    void flow_init(Flow *flow)
    int flow_press(Flow *flow, uint64_t now, uint64_t grace, uint8_t policy)
    void flow_take(Flow *flow, size_t taken, uint64_t now, uint64_t grace)
    uint64_t flow_due(const Flow *flow)
    void flow_ease(Flow *flow, uint64_t now)

cdef extern from "csrc/outbuf.h":
    enum:
        DOOM_NONE
        DOOM_OVERFLOW
        DOOM_SLOW
        DOOM_STALLED
        DOOM_MEMORY
        DOOM_LOST
    struct Shared:
        uint32_t references
        uint32_t sender
        void (*release)(Shared *shared) noexcept
    void shared_drop(Shared *shared)
    struct Outlets:
        Link dirty
        Link bulk
        size_t kept
        size_t soft
        size_t low
        size_t hard
        uint64_t sent
        size_t own
        const Ceiling *ceiling
        Census *census
    struct OutBuf:
        char *data
        size_t start
        size_t end
        uint8_t doom
        uint8_t frame_end
        uint8_t framing
        uint8_t swell
        uint8_t blocked
        int fd
        uint64_t sent
        int64_t messages
        Flow flow
        Link link
        Outlets *outlets
    void outbuf_init(OutBuf *out, Outlets *outlets, void *owner)
    void outbuf_free(OutBuf *out)
    size_t outbuf_pending(const OutBuf *out)
    size_t outbuf_pressure(const OutBuf *out)
    void outbuf_touch(OutBuf *out)
    void outbuf_touch_bulk(OutBuf *out)
    void outbuf_doom(OutBuf *out, int why)
    char *outbuf_reserve(OutBuf *out, size_t needed)
    void outbuf_commit(OutBuf *out, const char *end)
    void outbuf_put(OutBuf *out, const char *data, size_t length)
    void outbuf_put_shared(OutBuf *out, const char *data, size_t length, Shared *owner)
    ssize_t outbuf_send(OutBuf *out, bint last)
    void outbuf_end(OutBuf *out)
    void outbuf_push(OutBuf *out, size_t written)
    size_t outbuf_peek(const OutBuf *out, const char **data, size_t most)
    void outbuf_consume(OutBuf *out, size_t length)
    void pool_trim(Outlets *outlets)
    void pool_free(Outlets *outlets)

cdef extern from "csrc/wrapping.h":
    enum:
        FRAMING_NONE
        FRAMING_WEBSOCKET
        FRAMING_SOCKJS
        WS_TEXT
        WS_BINARY
        WS_CLOSE
        WS_PING
        WS_PONG
        WRAPPED_SWELL
        WS_HEAD_OUT
    struct Wrapped:
        Shared shared
        size_t length
        char *bytes
    size_t ws_put_head(char *to, int opcode, size_t length)
    int ws_opcode(const char *data, size_t length)
    size_t json_escape(char *to, size_t room, const char **start, const char *limit)
    Wrapped *wrapped_new(Census *census, const char *data, size_t length)
    size_t framed_room(const OutBuf *out, size_t frames)
    void framed_begin(OutBuf *out)
    void framed_put(OutBuf *out, const char *data, size_t length)
    void framed_end(OutBuf *out, int opcode)

cdef extern from "csrc/peer.h" nogil:
    enum:
        PEER_THERE
        PEER_SILENT
        PEER_GONE
    int peer_state(int fd)

cdef extern from "csrc/blocks.h":
    struct Blocks:
        int carries
        Account account
        int64_t taken
    void blocks_init(Blocks *blocks, Census *census)
    void blocks_end(Blocks *blocks)
    Blocks *blocks_of(const Census *census)
    void *block_take(Blocks *blocks, size_t size)
    void block_give(Blocks *blocks, void *block, size_t size)
    size_t block_cost(size_t size)
    void memory_settle()
    void memory_trim()

cdef extern from "csrc/moving.h":
    enum:
        KEEPS_QUEUE
        KEEPS_LEDGER
    struct Keeper:
        Link link
        int kind
        size_t place
    void keeper_join(Census *census, Keeper *keeper, int64_t (*visit)(void *owner, int64_t budget) noexcept,
                     void *owner)
    void keeper_leave(Keeper *keeper)
    bint block_is_left(const Blocks *blocks, const void *block)
    void round_begin(Blocks *blocks, int64_t tolerated)
    void round_go_on(Blocks *blocks, int64_t budget)
    bint carrying_begin(Blocks *blocks)
    Keeper *carrying_next(Blocks *blocks)
    void carrying_done(Blocks *blocks, Keeper *keeper)

cdef extern from "csrc/wheel.h":
    enum:
        TICK
    struct Timer:
        Link link
        uint64_t due
    struct Wheel:
        uint64_t tick
    void wheel_init(Wheel *wheel, uint64_t now)
    void wheel_advance(Wheel *wheel, uint64_t now)
    void timer_init(Timer *timer, void (*fire)(void *owner) noexcept, void *owner)
    void timer_arm(Wheel *wheel, Timer *timer, uint64_t due)
    void timer_cancel(Timer *timer)

cdef extern from "csrc/duplicates.h" nogil:
    struct DuplicatesShare:
        const Ceiling *ceiling
        Census *census
        int64_t bytes
        int64_t most
    struct Duplicates:
        DuplicatesShare *share
        uint64_t *ring
        size_t capacity
        size_t oldest
        size_t count
        uint64_t came
    void duplicates_charge(DuplicatesShare *share, int64_t bytes)
    Duplicates *duplicates_new(DuplicatesShare *share, size_t window)
    void duplicates_free(Duplicates *names)
    int duplicates_has(const Duplicates *names, uint64_t name)
    void duplicates_add(Duplicates *names, uint64_t name)

cdef extern from "csrc/ranks.h" nogil:
    enum:
        RANK_MOST
    struct Rank:
        Link link
        Link ready
    struct Claim:
        Rank *rank
    struct Ranks:
        Link ring
        Rank usual
        uint32_t claims
        uint32_t exclusive
        void *holder
    Ranks *ranks_new(Census *census)
    void ranks_free(Ranks *ranks)
    Rank *rank_behind(const Ranks *ranks, const Link *link)
    Claim *claim_new(Ranks *ranks, int priority, int exclusive, void *consumer)
    void claim_end(Ranks *ranks, Claim *claim)
    Link *ranks_ready(Ranks *ranks, const Claim *claim)
    void *ranks_heir(const Ranks *ranks)

cdef extern from "csrc/choosers.h" nogil:
    enum:
        LOOKED_LEVELS
    struct Level:
        uint64_t place
        int64_t since
    struct Looked:
        uint32_t depth
        Level *levels
        Link groups
    struct Choosers:
        Link sated
        int64_t seen
        uint32_t count
        int chosen
        int busy
        uint32_t offered
        int anew
        void *groups
        void (*came)(void *queue, uint32_t at) noexcept
        void (*went)(void *queue, const void *message) noexcept
        void (*settled)(void *queue, const void *message) noexcept
    Looked *looked_new()
    void looked_up_to(Looked *looked, uint64_t place, int64_t since)
    Choosers *choosers_new(Census *census)
    void choosers_free(Census *census, Choosers *choosers)

cdef extern from "csrc/property.h" nogil:
    enum:
        PRIORITIES
        USUAL_PRIORITY
        ASKS_RETAIN
        ASKS_FORGET
        ASKS_SOMEBODY
        ASKS_INFO
        CLOSES_GROUP
        IS_DEAD
        ASKS_SCHEDULE
        PERSISTS
        PROPERTY_NONE
        PROPERTY_EXPIRES
        PROPERTY_TTL
        PROPERTY_PRIORITY
        PROPERTY_DELAY
        PROPERTY_SCHEDULED_DELAY
        PROPERTY_SCHEDULED_TIME
        PROPERTY_SCHEDULED_PERIOD
        PROPERTY_SCHEDULED_REPEAT
        PROPERTY_SCHEDULED_CRON
        PROPERTY_GROUP
        PROPERTY_GROUP_SEQUENCE
        PROPERTY_DUPLICATE
        PROPERTY_LAST_VALUE
        PROPERTY_RETAIN
        PROPERTY_ACTIVEMQ_RETAIN
        PROPERTY_MANDATORY
        PROPERTY_RECEIPT_INFO
        PROPERTY_PERSISTENT
    struct Properties:
        uint64_t expires
        uint64_t delay
        uint64_t group
        uint64_t duplicate
        uint64_t last_value
        uint16_t flags
        uint8_t priority
    int property_of(const char *text, size_t length)
    uint64_t property_hash(const char *text, size_t length, uint64_t seed)
    uint64_t steady_now(const Census *census)
    uint64_t wall_now(const Census *census)
    void clocks_set(Census *census, uint64_t wall, uint64_t steady)
