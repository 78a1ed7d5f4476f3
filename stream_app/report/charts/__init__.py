"""The charts of the report, each from figures of metrics.json; text in the reader's language."""
