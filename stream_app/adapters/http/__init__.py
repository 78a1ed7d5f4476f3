"""HTTP endpoint for health and metrics, and its client."""
