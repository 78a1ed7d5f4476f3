"""Messages to the staff, composed from alerts within a channel's size limits."""
