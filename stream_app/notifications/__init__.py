"""Staff notifications: channels, messages composed from alerts, the playbook of measures, and open alerts."""
