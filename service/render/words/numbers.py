"""Numbers as text: counts, shares, sizes along axes, and the products that derive them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

MAX_DECIMALS = 12
"""Of a percentage, which no count of connections that fits a file takes up."""


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
    """A share as a percentage: with one decimal, or as many more as keep it apart from 0 and from 100."""
    if share is None:
        return "–"
    apart = 100 * min(share, 1 - share)
    decimals = 0 if apart == 0 else min(max(1 - math.floor(math.log10(apart) + 1e-9), 1), MAX_DECIMALS) if apart > 0 else 1
    return f"{100 * share:.{decimals}f} %"


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
