"""Who reads the weights of layers that respond, and how: past them, in a loss, row by row."""
