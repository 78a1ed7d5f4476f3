"""The in-process shell: a recorded log goes through the pure core, and a report comes out."""
