"""Reading the request that opens a WebSocket. All of it is for Python."""
