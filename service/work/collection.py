"""Python's search for cycles of objects, which is held while many small objects without cycles are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Hold the search: to look at all objects again and again would make the cost per layer of a report grow."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # What was made counts as old from here on, so that it is not searched at once.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
