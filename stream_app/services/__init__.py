"""Services: the processes of the live system and the runtime they share."""
