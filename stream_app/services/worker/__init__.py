"""Worker: a service that wraps `core.partition`. It processes events, commits the results to Redis and relays them."""
