"""HTTP endpoint of health and metrics."""
