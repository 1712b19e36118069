"""What all tests talk to the broker with: its process, clients for every way in, and the waiting between them.

`broker` starts a `fastbroker serve` with a configuration of its own; `client`, `tls` and `websocket` speak to it in
bytes, and `transports` says which of them goes with which scheme; `plain` is for those who want a bare socket; `frames`
has what goes over it, `certificates` whom to trust, and `waiting` how long anything may take.
"""
