"""Proposals in words, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from service.render.words.numbers import counted, number, times
from service.render.words.text import shown
from service.report.proposals import Measures, Proposals

LONGEST_WORDS = 300
"""Characters of what one proposal changes."""


def proposals_text(found: Proposals) -> str:
    """The proposals, one under the other, each with what it changes."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Proposals) -> Iterator[str]:
    yield f"Goal: {found.goal} ({found.source})"
    yield f"Now: {_measured(found.base)}"
    if found.reached:
        yield "The network reaches the goal already."
        return
    reaching = sum(each.reaches for each in found.proposals)
    ended = "" if found.complete else "; the search was ended by its bounds"
    yield f"{counted(reaching, 'proposal')} of {counted(found.tried, 'changed network')} analysed{ended}"
    for place, each in enumerate(found.proposals, start=1):
        yield ""
        yield f"{place}. {shown('; '.join(each.words), LONGEST_WORDS)}{'' if each.reaches else ' (nearer, but not there)'}"
        yield f"   {_measured(each.measures)}"
    yield ""
    yield found.note


def _measured(measures: Measures) -> str:
    return ", ".join(
        (
            f"field {times(measures.receptive_field)} of an input of {times(measures.input_size)}",
            f"map {times(measures.map_shape)}",
            f"{number(measures.parameters)} parameters",
            f"{number(measures.connections)} connections",
            f"{number(measures.unproductive_layers)} unproductive",
            f"{measures.misaligned_joins} misaligned",
            f"{measures.gridded_layers} gridded",
        )
    )
