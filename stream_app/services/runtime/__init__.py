"""Parts shared by all services: process lifecycle, Faust app, producer, outbox relay, stores and logs."""
