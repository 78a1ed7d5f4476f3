"""Message templates, one folder per language. The shop may replace any of them with its own."""
