"""Freeing a port: the steps it takes (plan), taking them (execute, terminate, watch), what came of it (outcome)."""
