"""Holdout and uplift: who is not called, and what the calls change."""
