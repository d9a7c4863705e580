"""What a misspelt word was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_WORD = 60
"""Longer words are nobody's slip of the finger, and take long to compare."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The end of a message that offers the nearest of the known words; empty where none is near."""
    if not isinstance(word, str) or len(word) > MAX_WORD:
        return ""
    plain = word.lower().replace("-", "_")
    spelt = {name.lower().replace("-", "_"): name for name in known if len(name) <= MAX_WORD}
    near = get_close_matches(plain, spelt, n=1, cutoff=0.7)
    return f"; did you mean {spelt[near[0]]!r}?" if near else ""
