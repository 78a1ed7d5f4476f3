"""Aggregated figures of a shop: events, population, monthly churn and risk bands."""
