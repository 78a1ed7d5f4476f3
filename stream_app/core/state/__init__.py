"""State of a customer: state vector, counters, complaints, and how events update them."""
