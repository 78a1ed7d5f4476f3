"""Mappings of foreign logs, with one TOML file per shipped mapping; see docs/reference/mappings.md for custom ones."""
