/* Receipts: each that was asked for must come, once. */
#include "receipts.h"

#include "failure.h"

uint64_t receipts_asked(const Engine *engine, const Connection *c) {
    if (!engine->frames.receipt)
        return 0;
    return engine->frames.unit == 1 ? begun_by(c) : c->sent / engine->frames.unit;
}

uint64_t receipts_open(const Engine *engine) {
    uint64_t open = 0;
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        open += receipts_asked(engine, &engine->publishers[i]) - engine->publishers[i].receipts_got;
    return open;
}

uint64_t receipts_left(const Engine *engine, const Connection *c) {
    if (engine->load.receipts <= 0)
        return UNLIMITED;
    uint64_t most = (c->receipts_got + (uint64_t)engine->load.receipts) * engine->frames.unit;
    return most > begun_by(c) ? most - begun_by(c) : 0;
}

void receipt_came(Engine *engine, Connection *c, const char *id, size_t length) {
    uint64_t number, ticks;
    bool asked = length == RECEIPT_SIZE && receipt_read(id, &number, &ticks) && number < receipts_asked(engine, c);
    if (!asked || tally_take(&c->receipts, number, engine->tally_most) == ARRIVED_AGAIN) {
        refuse(engine, c, "sent a receipt that is not open to", id, length);
        return;
    }
    c->receipts_got++;
    engine->receipts++;
    if (in_window(engine, ticks))
        histogram_add(&engine->receipt, engine->arrival - (engine->epoch + ticks * TICK), 1);
}
