"""Receptive: what every layer of a neural network shares, skips and sees."""

__version__ = "0.1.0"
