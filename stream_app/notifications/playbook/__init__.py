"""The playbook: measures against each cause of churn."""
