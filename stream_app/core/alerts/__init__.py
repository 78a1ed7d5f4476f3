"""Alerts: ranking and lifecycle, service-level targets and staff actions."""
