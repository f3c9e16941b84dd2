"""From an ordinary model to a responding one and back."""
