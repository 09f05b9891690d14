"""Windows: the service manager and netsh; sockets and processes come from psutil (portable)."""
