"""Charts of the report, from the figures of metrics.json."""
