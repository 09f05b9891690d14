"""Waiting until a port listens or is free: when it is enough (loop), one look (condition), what is looked at (poll)."""
