"""Shops: the fields that each shop sends, and a registry of shop names."""
