"""Shapes that are offered where a model leaves axes open."""

from __future__ import annotations

from service.report.document import Port

USUAL = {3: (128,), 4: (224, 224), 5: (16, 112, 112)}
"""Lengths of the axes behind batch and channels, by the rank of the input."""


def example_shape(port: Port) -> str:
    """A shape that an input may have, 1,3,224,224: lengths that are known are kept, the batch is one, others are usual ones."""
    shape = port.shape or (None, 3, None, None)
    usual = (1, 3, *USUAL.get(len(shape), ()))
    padded = [*usual, *[128] * len(shape)] if len(shape) > 2 else [1, 128]
    return ",".join(str(length or offered) for length, offered in zip(shape, padded, strict=False))
