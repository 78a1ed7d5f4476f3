"""Replay report as one HTML file, and its terminal summary, in English and 简体中文.

Both show only values from `metrics.json`, which contains no customer ids.
"""
