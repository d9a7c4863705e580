"""The table of all rules: domain and name of an ONNX operator → how it is lowered."""

from __future__ import annotations

from collections.abc import Mapping

from service.readers.onnx_reader import (
    control,
    convolution,
    dense,
    elementwise,
    generators,
    indexing,
    movement,
    normalization,
    pooling,
    quantisation,
    recurrent,
    reductions,
    resize,
    sequences,
)
from service.readers.onnx_reader.call import Rule

RULES: Mapping[str, Mapping[str, Rule]] = {
    "": {
        **control.RULES,
        **convolution.RULES,
        **dense.RULES,
        **elementwise.RULES,
        **generators.RULES,
        **indexing.RULES,
        **movement.RULES,
        **normalization.RULES,
        **pooling.RULES,
        **quantisation.RULES,
        **recurrent.RULES,
        **reductions.RULES,
        **resize.RULES,
        **sequences.RULES,
    },
}


def rule_for(domain: str, op: str) -> Rule | None:
    """The rule of an operator, None where there is none."""
    return RULES.get(domain, {}).get(op)
