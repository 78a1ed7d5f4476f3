"""Real-time churn monitor: who is about to leave, why, how sure, and what it is worth."""

__version__ = "0.2.0"
