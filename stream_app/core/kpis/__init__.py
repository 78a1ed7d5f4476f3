"""Shop-level KPIs: event counts, customer population, monthly churn and risk bands."""
