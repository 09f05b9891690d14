"""Sockets, processes and policy as psutil and lsof tell them, on every system that has no back end of its own."""
