"""Long trials of what a run promises, outside `make test`: killed at random, files damaged, processes side by side."""
