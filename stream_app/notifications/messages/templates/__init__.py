"""Templates of messages, one folder per language. The shop may replace each of them by its own."""
