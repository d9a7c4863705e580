"""Where the bytes of a model lie."""
