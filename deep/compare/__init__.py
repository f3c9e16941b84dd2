"""Many ways to tune at one budget: self-tuning, fixed values, searches, population-based training."""
