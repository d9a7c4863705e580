"""Einsum: a dense layer where one of two operands is constant, a contraction otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, reshaped_weight, transposed_weight
from service.readers.onnx.operators.dense import apply_matrices
from service.readers.onnx.values import Value

Labels = tuple[str, ...]


def parsed(call: Call, operands: Sequence[Value]) -> tuple[list[Labels], Labels]:
    """The labels of the operands and of the result; the axes of an ellipsis are called "...0" and so on, aligned at the end."""
    equation = call.attributes.text("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands) or not re.fullmatch(r"[A-Za-z.,]*", left) or not re.fullmatch(r"[A-Za-z.]*", right):
        call.refuse("einsum-equation", f"the equation {equation!r} does not fit {len(operands)} operands")
    spare = [value.rank - len(term.replace("...", "")) for term, value in zip(terms, operands, strict=True)]
    most = max((n for n, term in zip(spare, terms, strict=True) if "..." in term), default=0)
    labels = []
    for term, n in zip(terms, spare, strict=True):
        if n < 0 or ("..." not in term and n):
            call.misfit("einsum-equation", f"the equation {equation!r} does not fit the operands")
        labels.append(_expanded(term, [f"...{i}" for i in range(most - n, most)]))
    if not arrow:
        single = sorted(label for label in set(sum(labels, ())) if sum(term.count(label) for term in labels) == 1 and label[0] != ".")
        return labels, (*(f"...{i}" for i in range(most)), *single)
    return labels, _expanded(right, [f"...{i}" for i in range(most)])


def _expanded(term: str, spare: list[str]) -> Labels:
    before, dots, after = term.partition("...")
    return (*before, *(spare if dots else ()), *after)


def diagonal(call: Call, value: Value, labels: Labels) -> tuple[Value, Labels]:
    """A value with a label that it has twice: the diagonal of these two axes."""
    while len(set(labels)) < len(labels):
        label = next(each for each in labels if labels.count(each) > 1)
        first = labels.index(label)
        second = labels.index(label, first + 1)
        rest = [axis for axis in range(value.rank) if axis not in (first, second)]
        n = value.dims[first]
        if value.dims[second] != n:
            raise ShapeError(f"{value.dims} has no diagonal")
        value = call.transpose(value, (*rest, first, second))
        value = call.reshape(value, (*value.dims[:-2], n * n))
        value = call.emit(core.Slicing(value.rank - 1, 0, n + 1, n), value)
        labels = (*(labels[axis] for axis in rest), label)
    return value, labels


def einsum(call: Call) -> Sequence[Value]:
    """Einsum."""
    operands = [v for v in call.inputs if v is not None]
    labels, output = parsed(call, operands)
    if len(operands) == 2 and [v.constant is None for v in operands].count(True) == 1:
        data = 0 if operands[0].constant is None else 1
        if all(len(set(term)) == len(term) for term in labels):
            return [_with_constant(call, operands[data], labels[data], operands[1 - data], labels[1 - data], output)]
    for index, value in enumerate(operands):
        if value.constant is not None:
            call.add_other(value)
        if len(set(labels[index])) < len(labels[index]):
            operands[index], labels[index] = diagonal(call, value, labels[index])
    return [call.emit(core.Contraction(tuple(labels), output), *operands)]


def _with_constant(call: Call, data: Value, own: Labels, constant: Value, others: Labels, output: Labels) -> Value:
    """Positions × shared × summed times shared × summed × new: one matrix, or one for each shared place."""
    lengths = dict(zip(others, constant.dims, strict=True)) | dict(zip(own, data.dims, strict=True))
    summed = [label for label in own if label not in output]
    inner = [label for label in summed if label in others]
    if any(label not in own and label not in output for label in others) or any(
        lengths[label] != n for label, n in zip(others, constant.dims, strict=True)
    ):
        call.add_other(constant)
        return call.emit(core.Contraction((own, others), output), data, constant)
    lone = [own.index(label) for label in summed if label not in others]
    if lone:
        data, own = call.emit(core.Reduction(tuple(lone), keepdims=False), data), tuple(x for i, x in enumerate(own) if i not in lone)
    shared = [label for label in own if label in others and label in output]
    places = [label for label in own if label not in others]
    new = [label for label in others if label not in own]

    def size(of: Sequence[str]) -> int:
        return math.prod(lengths[label] for label in of)

    turned = call.transpose(data, [own.index(label) for label in (*shared, *places, *inner)])
    turned = call.reshape(turned, (size(shared), size(places), size(inner)))
    weight = transposed_weight(call.weight(constant), [others.index(label) for label in (*shared, *inner, *new)])
    result = apply_matrices(call, turned, reshaped_weight(weight, (size(shared), size(inner), size(new))))
    labels = (*shared, *places, *new)
    result = call.reshape(result, tuple(lengths[label] for label in labels))
    return call.transpose(result, [labels.index(label) for label in output])


RULES = {"Einsum": Rule(einsum, "dense")}
