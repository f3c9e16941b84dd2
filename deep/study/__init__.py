"""Does it pay: small tasks whose truth is known by retraining, ways of self-tuning on them, one record a run."""
