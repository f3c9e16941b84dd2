"""What `deep` offers to a script."""
