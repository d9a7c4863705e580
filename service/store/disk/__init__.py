"""Models on the local disk."""
