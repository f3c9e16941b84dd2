"""Behind SelfTuner: data of any kind as batches, the parts put together, runs and their results."""
