"""LSTMs, in every form of the response."""
