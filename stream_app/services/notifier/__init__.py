"""Notifier: a service that wraps `core.delivery`. It delivers alerts to the channels of the staff."""
