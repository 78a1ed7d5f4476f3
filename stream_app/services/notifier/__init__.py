"""The service that brings alerts to the staff."""
