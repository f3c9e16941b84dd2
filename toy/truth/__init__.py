"""The true answers: networks trained to convergence at given hyperparameters."""
