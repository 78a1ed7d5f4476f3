"""Prometheus metrics of all services, one module per service or concern. Reference: docs/metrics.md.

All names share one prefix and use base units. No customer id, and nothing else that is unbounded, is a label. Each
process has one registry and creates on it the metric classes that `catalogue.SERVICES` lists for its service.
"""
