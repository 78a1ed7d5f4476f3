"""Shops: which fields a shop sends, and the registry of shop names."""
