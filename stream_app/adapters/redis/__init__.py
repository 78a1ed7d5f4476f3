"""The ports on Redis. What one call must do at once is a Lua script; each opens with its keys and arguments."""
