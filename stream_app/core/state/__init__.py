"""State of a customer: state vector, counters, complaints, and their update by events."""
