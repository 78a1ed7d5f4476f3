"""HTTP endpoint for health and metrics, and a client for it."""
