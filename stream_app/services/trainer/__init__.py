"""The trainer: a Faust shell around the single learner. Read what is labelled, learn a day, store a checkpoint."""
