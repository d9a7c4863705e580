"""Findings: what a reader of the report should know without having looked for it. One function for each code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from service.analysis.batch import batch_lengths
from service.analysis.connections.connectivity import weight_node
from service.analysis.connections.copies import Copies
from service.analysis.evidence import Examined
from service.analysis.field.axes import Layouts, axis_names
from service.analysis.field.published import lies_along_one_axis, placement
from service.analysis.lineage import Lineage
from service.analysis.parameters import Tie
from service.analysis.records import MOST_LISTED
from service.graph import Graph
from service.graph import operators as core
from service.report.document import Finding, Severity

MOST_NAMED = 8
"""Filters whose numbers a message names."""


def _times(sizes: Sequence[int]) -> str:
    """Sizes along the axes, "7×7"."""
    return "×".join(f"{size:,}" for size in sizes)


def findings_of(graph: Graph, known: Layouts, examined: Sequence[Examined], ties: Sequence[Tie], copies: Sequence[Copies]) -> list[Finding]:
    """All findings, in the order of the layers, those about the model first."""
    found = [Finding(code, "warning", layer, message, {}) for code, layer, message in graph.notes]
    found += batch_kept(graph, known, examined)
    found += tied_weights(ties)
    found += duplicate_weights(copies)
    lineage = Lineage(graph)
    for one in examined:
        for check in LAYER_CHECKS:
            found += check(one)
        found += gridding(one, lineage)
        found += pixels_never_read(one, lineage)
        if one.input is not None:
            found += misaligned_join(one, axis_names(len(known[one.input].spatial)), lineage)
    return found


def batch_kept(graph: Graph, known: Layouts, examined: Sequence[Examined]) -> Iterator[Finding]:
    """Inputs whose batch axes differ have no common batch that could be divided out, where a layer counts connections of a fixed one."""
    lengths = sorted(batch_lengths(graph, known))
    if len(lengths) > 1 and _counted_behind(graph, known, examined):
        message = (
            f"the batch axes of the inputs are {', '.join(map(str, lengths))} long: no common batch is divided out, "
            "everything is counted together"
        )
        yield Finding("batch-kept", "warning", None, message, {"lengths": lengths})


def _counted_behind(graph: Graph, known: Layouts, examined: Sequence[Examined]) -> bool:
    """Whether connections are counted in a layer that reads an input with a batch of more than one sample."""
    batched = {
        tensor.name
        for index, tensor in enumerate(graph.inputs)
        if index in known and (axis := known[index].batch) is not None and (tensor.shape or ())[axis] > 1
    }
    for one in examined:
        if not batched.isdisjoint(one.layer.inputs):
            if one.counts is not None:
                return True
            batched.update(one.layer.outputs)
    return False


def tied_weights(ties: Sequence[Tie]) -> Iterator[Finding]:
    """One stored tensor that several layers use. Exporters merge biases that are equal (zero, as a rule), which tie nothing in training."""
    for tie in ties:
        message = f"{len(tie.layers)} layers use the stored tensor {tie.tensor}; it is counted once in parameters.stored"
        if tie.biases:
            message = f"{len(tie.layers)} layers have the stored tensor {tie.tensor} as their bias; exporters merge equal biases"
        yield Finding("tied-weights", "info", tie.layers[0], message, {"tensor": tie.tensor, "layers": list(tie.layers)})


def duplicate_weights(copies: Sequence[Copies]) -> Iterator[Finding]:
    """Kernels of different stored tensors with equal values, transposed or not, which could be stored once."""
    for each in copies:
        message = f"the kernels of {len(each.layers)} layers have equal values but are stored apart"
        data = {"tensors": list(each.tensors), "layers": list(each.layers)}
        yield Finding("duplicate-weights", "info", each.layers[0], message, data)


def misaligned_join(one: Examined, axes: Sequence[str], lineage: Lineage) -> Iterator[Finding]:
    """Paths that meet with other strides, or whose units at the same place look at other centres (Araujo et al. 2019, alignment).

    Tensors laid one after the other along the axis that they move along do not meet (a circular padding, a roll, tokens of several scales).
    Nor is a shift reported that is meant: of parts of one tensor (space to depth), and of causal paths, which end at the same sample.
    """
    index = one.input
    if index is None or not any(isinstance(node.operator, core.Elementwise | core.Concatenation) for node in one.layer.nodes):
        return
    laid = [node.operator.axis for node in one.layer.nodes if isinstance(node.operator, core.Concatenation)]
    views = [(name, seen[index]) for name, seen in zip(one.layer.inputs, one.seen.inputs, strict=False) if index in seen]
    for (name, view), (other, second) in pairwise(views):
        for axis, field, joined in zip(axes, view.fields, second.fields, strict=True):
            first, then = placement(field), placement(joined)
            if first is None or then is None or any(each.varies(along) for along in laid for each in (field, joined)):
                continue
            data: dict[str, object] = {"axis": axis, "paths": [name, other]}
            if first.stride != then.stride:
                strides = [float(first.stride), float(then.stride)]
                message = f"{name} has stride {strides[0]:g} and {other} has stride {strides[1]:g} along the {axis}"
                yield Finding("misaligned-join", "warning", one.layer.name, message, data | {"strides": strides})
            elif first.centre != then.centre and first.newest != then.newest and lineage.origin(name) != lineage.origin(other):
                shift = float(then.centre - first.centre)
                message = f"{other} is shifted {_shift(shift, one.unit, axis)} from {name}"
                severity: Severity = "warning" if abs(shift) >= abs(first.stride) else "info"
                yield Finding("misaligned-join", severity, one.layer.name, message, data | {"shift": shift})


_WAYS = {"height": ("up", "down"), "width": ("left", "right")}


def _shift(shift: float, unit: str, axis: str) -> str:
    """A shift in words: "1 pixel down", "2 positions forward"."""
    back, on = _WAYS.get(axis, ("back", "forward"))
    length = abs(shift)
    return f"{length:g} {unit[:-1] if length == 1 else unit} {on if shift > 0 else back}" + ("" if axis in _WAYS else f" along the {axis}")


def unproductive_layer(one: Examined) -> Iterator[Finding]:
    """The narrowest path already sees more than the whole input before this layer (Richter et al. 2021)."""
    if one.unproductive:
        needed, lengths = list(one.needed or ()), list(one.lengths)
        seen = f"a receptive field of {_times(needed)} {one.unit} on every path"
        message = f"its input already has {seen}, more than the input of {_times(lengths)}"
        yield Finding("unproductive-layer", "info", one.layer.name, message, {"needed": needed, "input": lengths})


def gridding(one: Examined, lineage: Lineage) -> Iterator[Finding]:
    """Rows or columns of the receptive field's box that dilation or stride leave out (Yu, Koltun and Funkhouser 2017, gridding artifacts).

    An axis along which a whole image lies, flattened, has gaps between its rows whatever the network does.
    """
    view = one.view
    if view is None or view.density is None or not view.gridded or weight_node(one.layer) is None:
        return
    if lineage.spaced(one.layer.outputs[0]) and all(lies_along_one_axis(field) for field in view.fields):
        message = f"an inner unit reads {view.density:.1%} of the {one.unit} in its box"
        yield Finding("gridding", "info", one.layer.name, message, {"density": view.density})


def pixels_never_read(one: Examined, lineage: Lineage) -> Iterator[Finding]:
    """A stride that steps over units which nothing else reads: no tap of the window ever falls on them."""
    for node in one.layer.nodes:
        skipped = lineage.skipped(node)
        if isinstance(node.operator, core.Window) and any(skipped) and not lineage.read_by_others(node):
            window = f"{_times(node.operator.kernel)} at stride {_times(node.operator.strides)}"
            message = f"the window of {window} never reads some units of its input"
            yield Finding("pixels-never-read", "warning", one.layer.name, message, {"skipped": skipped})


def checkerboard(one: Examined) -> Iterator[Finding]:
    """A transposed convolution whose kernel is no multiple of its stride overlaps unevenly (Odena, Dumoulin and Olah, Distill 2016)."""
    node = weight_node(one.layer)
    if node is None or not isinstance(node.operator, core.TransposedConvolution):
        return
    kernel, strides = node.operator.kernel, node.operator.strides
    if any(k % s for k, s in zip(kernel, strides, strict=True)):
        message = (
            f"kernel {_times(kernel)} is no multiple of stride {_times(strides)}: neighbouring outputs are fed by different numbers of taps"
        )
        yield Finding("checkerboard", "warning", one.layer.name, message, {"kernel": list(kernel), "strides": list(strides)})


def mostly_padding(one: Examined) -> Iterator[Finding]:
    """Half or more of the taps fall on padding; a warning where three quarters do, so that little more than the centre is left."""
    counts = one.counts
    if counts is not None and counts.padded and 2 * counts.exact <= counts.padded:
        share = 1 - counts.exact / counts.padded
        message = f"{share:.1%} of the taps fall on padding"
        yield Finding("mostly-padding", "warning" if share >= 0.75 else "info", one.layer.name, message, {"share": share})


def masked_taps(one: Examined) -> Iterator[Finding]:
    """Taps of a kernel that are zero in every filter: a mask (PixelCNN, van den Oord et al. 2016). The size stays the architecture's."""
    known = one.statistics
    if known is None or not known.nonzero or known.nonzero_per_tap.ndim == 0:
        return
    masked = [list(map(int, tap)) for tap in np.argwhere(known.nonzero_per_tap == 0)]
    if masked:
        message = f"{len(masked)} of the {_times(known.nonzero_per_tap.shape)} taps are zero in every filter"
        yield Finding("masked-taps", "info", one.layer.name, message, {"masked": len(masked), "taps": masked[:MOST_LISTED]})


def dead_filters(one: Examined) -> Iterator[Finding]:
    """Filters all of whose weights are zero."""
    known = one.statistics
    if known is not None and known.dead_filters:
        dead = len(known.dead_filters)
        numbers = ", ".join(map(str, known.dead_filters[:MOST_NAMED])) + (" …" if dead > MOST_NAMED else "")
        said = f"is all zeros (number {numbers})" if dead == 1 else f"are all zeros (numbers {numbers})"
        message = f"{dead} of {known.rows} filters {said}"
        yield Finding("dead-filters", "warning", one.layer.name, message, {"filters": list(known.dead_filters[:MOST_LISTED])})


def duplicate_filters(one: Examined) -> Iterator[Finding]:
    """Filters whose weights on the same channels are those of an earlier filter."""
    known = one.statistics
    if known is not None and known.duplicate_filters:
        message = f"{len(known.duplicate_filters)} of {known.rows} filters have the same weights as an earlier one"
        pairs = [list(pair) for pair in known.duplicate_filters[:MOST_LISTED]]
        yield Finding("duplicate-filters", "info", one.layer.name, message, {"pairs": pairs})


def weights_not_finite(one: Examined) -> Iterator[Finding]:
    """Weights that are infinite or not a number."""
    known = one.statistics
    if known is not None and known.nonfinite:
        message = f"{known.nonfinite} weights are infinite or not a number"
        yield Finding("weights-not-finite", "error", one.layer.name, message, {"weights": known.nonfinite})


def structured_sparsity(one: Examined) -> Iterator[Finding]:
    """At most N of every M consecutive weights along the input channels are not zero (Mishra et al. 2021)."""
    known = one.statistics
    if known is not None and known.pattern is not None:
        message = f"the kernel keeps to the {known.pattern} pattern along its input channels"
        yield Finding("structured-sparsity", "info", one.layer.name, message, {"pattern": known.pattern})


LAYER_CHECKS = (
    unproductive_layer,
    checkerboard,
    mostly_padding,
    masked_taps,
    dead_filters,
    duplicate_filters,
    weights_not_finite,
    structured_sparsity,
)
