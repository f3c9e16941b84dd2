"""Does self-tuning pay: ways to choose hyperparameters at equal processor time, in units of one plain training."""
