"""Linear, convolution, embedding and normalisation layers, in every form of the response."""
