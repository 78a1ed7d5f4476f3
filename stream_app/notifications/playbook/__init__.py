"""Playbook of measures against each cause of churn."""
