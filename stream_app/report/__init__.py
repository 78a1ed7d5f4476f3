"""What people read of a replay: the report, one HTML file, and the summary in the terminal; English and 简体中文.

Both are made from the figures of `metrics.json` alone, which hold no customer ids.
"""
