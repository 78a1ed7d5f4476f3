"""The churn model: features, labels, experts, ensemble and evaluation metrics."""
