"""Which connections exist, and the values of the kernels on them."""
