"""Messages between the services: schemas, decoding, and dead letters."""
