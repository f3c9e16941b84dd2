"""What a run measures of itself: calls, reads past layers, gain, over-tuning, and what to believe."""
