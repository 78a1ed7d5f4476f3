"""Replay of a recorded log through the core in one process, with an evaluation and a report."""
