"""Codec of stored customer states."""
