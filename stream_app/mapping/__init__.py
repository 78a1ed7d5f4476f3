"""Mappings of foreign logs. Each shipped mapping is a TOML file; see docs/reference/mappings.md for custom ones."""
