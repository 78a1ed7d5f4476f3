"""Allocation of the staff's daily capacity to alert candidates."""
