"""State of a customer: vector, counters, complaints, and the update by an event."""
