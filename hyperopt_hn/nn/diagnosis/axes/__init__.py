"""Which axis of each layer's input is the batch."""
