"""Compose files → declarations."""
