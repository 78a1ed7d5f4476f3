"""The experts: models that each predict log-odds of churn."""
