"""Mappings of foreign logs, with one TOML file per shipped mapping; see docs/mappings.md for custom ones."""
