"""Text from a model, made safe to read: names may hold line breaks, reordering characters and megabytes."""

from __future__ import annotations

import unicodedata

LONGEST_NAME = 120
"""Characters of a name that are shown; of a longer one the beginning and the end are."""

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def shown(text: object, longest: int = LONGEST_NAME) -> str:
    """A text with every control, formatting and reordering character written as \\uXXXX, and shortened in the middle."""
    whole = str(text)
    # Only what can be shown is looked at, so that a name of a megabyte costs no more than its ends.
    ends = whole if len(whole) <= longest else f"{whole[: longest // 2]}…{whole[1 - longest // 2 :]}"
    seen = visible(ends)
    return seen if len(seen) <= longest else f"{seen[: longest // 2]}…{seen[1 - longest // 2 :]}"


def visible(text: str, kept: str = "") -> str:
    """The whole text with hidden characters written as \\uXXXX, apart from those that are `kept`."""
    if text.isprintable():
        return text
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _HIDDEN and c not in kept else c for c in text)
