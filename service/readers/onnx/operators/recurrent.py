"""RNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.values import Value

Cell = Literal["RNN", "LSTM", "GRU"]
_DIRECTIONS: dict[str, Literal["forward", "reverse", "bidirectional"]] = {
    "forward": "forward",
    "reverse": "reverse",
    "bidirectional": "bidirectional",
}


def recurrent(cell: Cell) -> Callable[[Call], Sequence[Value]]:
    """A recurrent layer over time: W is (directions, gates·hidden, input), R (directions, gates·hidden, hidden), B both biases."""

    def lower(call: Call) -> Sequence[Value]:
        """The layer in ONNX's layout 0, turned around it where the node has the batch first."""
        data, kernel, memory, bias, lengths = call.input(0), call.input(1), call.input(2), call.optional(3), call.optional(4)
        states = [call.optional(5), call.optional(6) if cell == "LSTM" else None]
        peepholes = call.optional(7) if cell == "LSTM" else None
        call.kernel.extend(call.weight(v) for v in (kernel, memory) if v.constant is not None)
        call.bias.extend(call.weight(v) for v in (bias,) if v is not None and v.constant is not None)
        call.add_other(peepholes)
        direction = _DIRECTIONS.get(call.attributes.text("direction", "forward").lower())
        if direction is None:
            call.refuse("unknown-direction", f"direction is {call.attributes.text('direction')!r}")
        operator = core.Recurrent(cell, _hidden(call, memory), direction)
        _check(call, operator, kernel, memory)
        batch_first = call.version >= 14 and bool(call.attributes.integer("layout"))
        turned = call.transpose(data, (1, 0, 2)) if batch_first else data
        initial = [v for v in states if v is not None and v.constant is None]
        initial = [call.transpose(v, (1, 0, 2)) if batch_first else v for v in initial]
        results = call.emit_all(operator, turned, *initial)
        parameters = (kernel, memory, bias, peepholes)
        results = tuple(_with_lengths(call, call.influenced(r, *parameters), lengths) for r in results[: max(len(call.outputs), 1)])
        if not batch_first:
            return results
        return [call.transpose(results[0], (2, 0, 1, 3)), *(call.transpose(r, (1, 0, 2)) for r in results[1:])]

    return lower


def _hidden(call: Call, memory: Value) -> int:
    stated = call.attributes.integer("hidden_size")
    hidden = stated or memory.dims[-1]
    if memory.rank != 3 or hidden != memory.dims[-1] or hidden < 1:
        call.refuse("hidden-size-mismatch", f"hidden_size is {stated}, its memory has the shape {memory.dims}")
    return hidden


def _check(call: Call, operator: core.Recurrent, kernel: Value, memory: Value) -> None:
    rows = operator.gates * operator.hidden
    if kernel.rank != 3 or kernel.dims[:2] != (operator.directions, rows) or memory.dims[:2] != (operator.directions, rows):
        call.refuse("kernel-shape-mismatch", f"its kernels have the shapes {kernel.dims} and {memory.dims}")


def _with_lengths(call: Call, result: Value, lengths: Value | None) -> Value:
    """Lengths of sequences that are data decide, sample by sample, which steps count."""
    if lengths is None or lengths.constant is not None:
        return result
    return call.elementwise("mask", result, call.reshape(lengths, (*lengths.dims, 1)))


RULES = {
    "RNN": Rule(recurrent("RNN"), "recurrent"),
    "LSTM": Rule(recurrent("LSTM"), "recurrent"),
    "GRU": Rule(recurrent("GRU"), "recurrent"),
}
