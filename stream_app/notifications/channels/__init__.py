"""Channels to the staff, one module each. A channel sends a message and returns a value of `core.delivery.answer`."""
