"""Trainer: service around `core.training`. It reads labelled examples, learns day by day, and stores checkpoints."""
