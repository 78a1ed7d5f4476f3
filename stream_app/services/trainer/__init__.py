"""Trainer: service around `core.training`. It learns from labelled examples day by day and stores checkpoints."""
