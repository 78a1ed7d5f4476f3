"""Report of a replay, one HTML file, and its summary in the terminal, in English and 简体中文.

Both show only the figures of `metrics.json`, which contain no customer ids.
"""
