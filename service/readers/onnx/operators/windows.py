"""The geometry of windowed operators as nodes state it: kernel_shape, strides, dilations, pads and auto_pad, resolved to numbers."""

from __future__ import annotations

from dataclasses import dataclass

from service.graph import Shape
from service.graph.geometry import same_padding
from service.graph.operators import Pads
from service.readers.onnx.call import Call

_LARGEST = {"kernel_shape": 1 << 20, "strides": 1 << 31, "dilations": 1 << 31, "pads": 1 << 24}
"""No network has such windows. They would cost the analysis, which lists the taps of a window, more than their few bytes in a file."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """A window, one entry for each spatial axis."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads


def positive(call: Call, name: str, rank: int) -> tuple[int, ...]:
    """A list attribute with one positive entry for each spatial axis; ones where the node does not state it."""
    stated = call.attributes.integers(name) or (1,) * rank
    if len(stated) != rank:
        call.refuse(f"{name.replace('_', '-')}-rank", f"{name} has {len(stated)} entries for {rank} spatial axes")
    if any(not 1 <= n < _LARGEST[name] for n in stated):
        call.refuse(f"{name.replace('_', '-')}-range", f"{name} is {stated}")
    return stated


def stated_pads(call: Call, rank: int) -> Pads:
    """The attribute `pads`: all beginnings, then all ends."""
    stated = call.attributes.integers("pads") or (0,) * (2 * rank)
    if len(stated) != 2 * rank:
        call.refuse("pads-rank", f"pads has {len(stated)} entries for {rank} spatial axes")
    if any(not 0 <= n < _LARGEST["pads"] for n in stated):
        call.refuse("pads-range", f"pads is {stated}")
    return tuple(zip(stated[:rank], stated[rank:], strict=True))


def automatic(call: Call) -> str:
    """The attribute `auto_pad`."""
    mode = call.attributes.text("auto_pad", "NOTSET") or "NOTSET"
    if mode not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"):
        call.refuse("unknown-auto-pad", f"auto_pad is {mode!r}")
    return mode


def geometry(call: Call, kernel: tuple[int, ...], spatial: Shape) -> Geometry:
    """The window of a convolution or a pooling over these spatial lengths; SAME gives ceil(n/stride) places."""
    rank = len(kernel)
    strides, dilations = positive(call, "strides", rank), positive(call, "dilations", rank)
    mode = automatic(call)
    if mode == "NOTSET":
        return Geometry(kernel, strides, dilations, stated_pads(call, rank))
    if mode == "VALID":
        return Geometry(kernel, strides, dilations, ((0, 0),) * rank)
    axes = zip(spatial, kernel, strides, dilations, strict=True)
    return Geometry(kernel, strides, dilations, tuple(same_padding(n, k, s, d, mode == "SAME_UPPER") for n, k, s, d in axes))


def stated_kernel(call: Call, rank: int) -> tuple[int, ...] | None:
    """The attribute `kernel_shape`, None where the node leaves it out."""
    return positive(call, "kernel_shape", rank) if call.attributes.integers("kernel_shape") else None
