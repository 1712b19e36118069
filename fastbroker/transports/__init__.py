"""Every way in: addresses, their sockets, and what comes before the protocol that a client speaks."""
