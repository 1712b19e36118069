"""fastbroker: a STOMP 1.0, 1.1 and 1.2 message broker whose hot path is compiled and whose face is ordinary Python."""

__version__ = "0.1.0"
