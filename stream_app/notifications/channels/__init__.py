"""Channels to the staff, one module each. A channel sends a message and returns an answer of `core.delivery.answer`."""
