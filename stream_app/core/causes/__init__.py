"""Causes of churn: catalogue, evidence rules and inference."""
