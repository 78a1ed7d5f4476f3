"""What stands behind the ports: real servers, and twins of them in memory."""
