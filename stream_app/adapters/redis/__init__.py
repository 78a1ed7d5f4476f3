"""Ports implemented on Redis. Atomic operations are Lua scripts; each starts with its keys and arguments."""
