"""Freeing a port: what it takes (plan), carrying that out (execute, terminate), and what came of it (outcome)."""
