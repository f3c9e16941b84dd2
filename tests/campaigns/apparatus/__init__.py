"""What the campaigns work with: faults on demand, runs by fork, how a run ended, what a storage holds."""
