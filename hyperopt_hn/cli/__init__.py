"""What the command lines of `toy` and `deep` share: flags from dataclasses, experiments, launching, jobs."""
