"""Implementations of the ports on Redis. Atomic operations are Lua scripts; each lists its arguments in a header."""
