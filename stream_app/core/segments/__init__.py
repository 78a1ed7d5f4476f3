"""Customer segments and lifecycle stages."""
