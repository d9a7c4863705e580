"""Numbers as text: counts, shares, sizes along axes, and the products that derive them."""

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


def counted(count: int, word: str) -> str:
    """A count with what is counted: "1 weight", "3 weights"."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def percent(share: float | None) -> str:
    """A share as a percentage with three decimals."""
    return "–" if share is None else f"{100 * share:.3f} %"


def times(values: Sequence[float | None] | None) -> str:
    """Sizes along the axes, "7×7"; a question mark for one that is not known."""
    return "–" if not values else "×".join("?" if value is None else number(value) for value in values)


def product(factors: Iterable[int]) -> str:
    """Factors as a product, "5·5·6"."""
    return "·".join(number(factor) for factor in factors) or "1"


def product_of(value: float | None, *candidates: Sequence[int | None] | None) -> str | None:
    """The first of the candidates whose factors multiply to the value, as a product; None where none does."""
    for candidate in candidates:
        factors = [factor for factor in candidate or () if factor is not None]
        if candidate is not None and len(factors) == len(candidate) and math.prod(factors) == value:
            return product(factors)
    return None
