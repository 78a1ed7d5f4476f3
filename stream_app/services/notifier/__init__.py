"""Notifier: service around `core.delivery`. It delivers alerts to the channels of the staff."""
