"""Charts of the report, drawn from the values in metrics.json."""
