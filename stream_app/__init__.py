"""Real-time churn monitor: who is about to leave, why, how certain that is, and how much they are worth."""

__version__ = "0.2.0"
