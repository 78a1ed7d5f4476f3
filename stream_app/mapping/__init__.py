"""Shipped mappings of well-known logs, one TOML file each; docs/mappings.md says how to write one's own."""
