"""Policy of a shop: who may be contacted, when and how often. `stream_app/config/policy_file.py` reads its file."""
