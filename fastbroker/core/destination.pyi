"""Destinations as clients write them."""

def policy_asked(destination: bytes, max_levels: int) -> tuple[str, bytes, bytes]:
    """Tell what policy one destination has: ``queues``, ``topics`` or, for what no table is for, nothing; then its name
    there and its canonical name. Raises Refused for what is none."""
