"""Drivers that put one STOMP client library each through the same scenarios."""
