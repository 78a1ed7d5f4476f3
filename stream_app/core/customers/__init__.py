"""The customer record and its codec."""
