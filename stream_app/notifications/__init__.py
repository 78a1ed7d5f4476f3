"""What the shop's staff reads and answers: the playbook of measures, messages composed from alerts, and episodes."""
