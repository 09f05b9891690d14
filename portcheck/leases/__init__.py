"""Ports that were handed out a moment ago, which no other portcheck hands out before their server has had its time."""
