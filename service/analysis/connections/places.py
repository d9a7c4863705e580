"""Random numbers for places, the same in every run: sums of values times the number of their place tell orders of values apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def factors(places: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A random odd factor for each place: SplitMix64 (Steele, Lea and Flood 2014)."""
    state = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31)) | np.uint64(1)
