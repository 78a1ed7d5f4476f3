"""Training of the churn model and monitoring of its quality."""
