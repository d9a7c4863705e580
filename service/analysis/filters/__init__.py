"""What the filters of a convolution look like and respond to."""
