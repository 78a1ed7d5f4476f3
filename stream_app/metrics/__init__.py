"""Prometheus metrics of all services, one module per service or concern. Reference: docs/reference/metrics.md.

All names share one prefix and use base units. Customer ids and other unbounded values are never labels. Each
process has one registry, on which it creates the metric classes that `index.SERVICES` lists for its service.
"""
