"""Messages to the staff, composed from alerts within the size limits of a channel."""
