"""The table of all rules: domain and name of an ONNX operator → how it is lowered."""

from __future__ import annotations

from collections.abc import Mapping

from service.readers.onnx import control
from service.readers.onnx.call import Rule
from service.readers.onnx.operators import (
    attention,
    convolution,
    dense,
    einsum,
    elementwise,
    generators,
    indexing,
    machine_learning,
    movement,
    normalization,
    pooling,
    quantisation,
    recurrent,
    reductions,
    resize,
    sequences,
    signal,
)
from service.readers.onnx.operators.microsoft import attention as fused_attention
from service.readers.onnx.operators.microsoft import experts, fused

RULES: Mapping[str, Mapping[str, Rule]] = {
    "": {
        **control.RULES,
        **convolution.RULES,
        **dense.RULES,
        **einsum.RULES,
        **signal.RULES,
        **attention.RULES,
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
    "com.microsoft": {**fused.RULES, **fused_attention.RULES, **experts.RULES},
    **{domain: {**quantisation.FAKE, **dense.FAKE} for domain in ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")},
    "ai.onnx.ml": machine_learning.RULES,
    "ai.onnx.preview": {"FlexAttention": attention.RULES["Attention"]},
    "ai.onnx.preview.training": signal.TRAINING,
}


_MODERN = 22


def version_for(domain: str, imported: int) -> int:
    """The opset whose rules hold: outside the standard domains the operators that it also has follow a recent form of it."""
    return imported if domain in ("", "ai.onnx.ml") else _MODERN


def rule_for(domain: str, op: str) -> Rule | None:
    """The rule of an operator, None where there is none."""
    return RULES.get(domain, {}).get(op)
