"""What a user hands over: losses, hyperparameters, batches, optimizers."""
