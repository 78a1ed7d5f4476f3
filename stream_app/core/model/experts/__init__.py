"""The experts: models that each give their log-odds of churn, and what mixes and calibrates them."""
