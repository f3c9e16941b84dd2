"""What a training loss may do to a batch, each example at its own strength: h["name"] of shape (B,), or one for all."""
