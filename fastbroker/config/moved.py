"""Keys that are elsewhere now: who still has one is told where it went."""

_OF_QUEUES = (
    'is a key of the tables [[queues]] now; one with pattern = "#" is for all queues, those of dead letters too'
)

MOVED = {
    **{
        f"queues.{name}": f"is subscriptions.{name} now"
        for name in ("prefetch", "prefetch_bytes", "max_prefetch", "nack_delay")
    },
    "queues.max_deliveries": _OF_QUEUES,
    "queues.dead_letter": _OF_QUEUES,
    "queues.dead_letter_limit": 'is max_messages of a table [[queues]] now; one with pattern = "DLQ.>" and '
    'overflow = "drop-oldest" is for dead letters',
}
