"""macOS: what launchd tells; sockets and processes come from psutil (portable)."""
