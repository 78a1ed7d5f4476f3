"""The worker: a Faust shell around lanes. Take a batch, step, commit, acknowledge, relay."""
