"""Notification of the staff: channels, messages composed from alerts, the playbook of measures, and open alerts."""
