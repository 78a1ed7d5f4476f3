"""Shop events: wire schema, accepted spellings, and bounds on timestamps."""
