"""What is said in HTTP in front of a WebSocket: the upgrade, who may connect, pages, SockJS."""
