"""Holdout and uplift: who is not called, and what the calls change. docs/explanation/uplift.md has the formulas."""
