"""Waiting until a port listens or is free: polling (poll), judging one look (condition), when to stop (loop)."""
