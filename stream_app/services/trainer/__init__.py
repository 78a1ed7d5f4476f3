"""Trainer: a service that wraps `core.training`. It learns from labelled examples day by day and stores checkpoints."""
