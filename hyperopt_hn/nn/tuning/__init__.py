"""The tuner, its checks, its checkpoints and what it keeps of a run."""
