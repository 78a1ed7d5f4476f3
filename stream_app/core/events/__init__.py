"""Events of a shop: wire schema, accepted spellings and bounds of their times."""
