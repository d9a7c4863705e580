"""Stored tensors: their element types, where they lie, and how their values are read."""
