"""A run as one self-contained page to play with: `python -m toy explore`."""
