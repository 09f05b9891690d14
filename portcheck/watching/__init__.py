"""Watching what opens and closes: what changed (changes), how it is shown (board), looking (look), when (loop)."""
