"""Content of each page."""
