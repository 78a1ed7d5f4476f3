"""What worker, trainer and desk share: their Faust app, their outbox relay, and their life as a process."""
