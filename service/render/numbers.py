"""Numbers as text, and the products that derive them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def number(value: float | None) -> str:
    """A number with thousands separated; a fraction to six significant digits, from a million on without decimals."""
    if value is None:
        return "unknown"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"


def product(factors: Iterable[int]) -> str:
    """Factors as a product, "5·5·6"."""
    return "·".join(number(factor) for factor in factors) or "1"


def product_of(value: int | None, *candidates: Sequence[int | None] | None) -> str | None:
    """The first of the candidates whose factors multiply to the value, as a product; None where none does."""
    for candidate in candidates:
        factors = [factor for factor in candidate or () if factor is not None]
        if candidate is not None and len(factors) == len(candidate) and math.prod(factors) == value:
            return product(factors)
    return None
