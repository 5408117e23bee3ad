"""Logs that grow: what is read of them from look to look, what is new, and what is told of it."""
