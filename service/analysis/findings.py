"""Findings: what a reader of the report should know without having looked for it. One function for each code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from service.analysis.batch import batch_lengths
from service.analysis.connections.connectivity import weight_node
from service.analysis.connections.copies import Copies
from service.analysis.evidence import Examined
from service.analysis.field.axes import Layouts, axis_names
from service.analysis.field.published import placement
from service.analysis.parameters import Tie
from service.analysis.records import MOST_LISTED
from service.graph import Graph
from service.graph import operators as core
from service.report.document import Finding


def _times(sizes: Sequence[int]) -> str:
    """Sizes along the axes, "7×7"."""
    return "×".join(f"{size:,}" for size in sizes)


def findings_of(graph: Graph, known: Layouts, examined: Sequence[Examined], ties: Sequence[Tie], copies: Sequence[Copies]) -> list[Finding]:
    """All findings, in the order of the layers, those about the model first."""
    found = [Finding(code, "warning", layer, message, {}) for code, layer, message in graph.notes]
    found += batch_kept(graph, known)
    found += tied_weights(ties)
    found += duplicate_weights(copies)
    for one in examined:
        for check in LAYER_CHECKS:
            found += check(one)
        if one.input is not None:
            found += misaligned_join(one, axis_names(len(known[one.input].spatial)))
    return found


def batch_kept(graph: Graph, known: Layouts) -> Iterator[Finding]:
    """Inputs whose batch axes differ have no common batch that could be divided out."""
    lengths = sorted(batch_lengths(graph, known))
    if len(lengths) > 1:
        message = (
            f"the batch axes of the inputs are {', '.join(map(str, lengths))} long: no common batch is divided out, "
            "everything is counted together"
        )
        yield Finding("batch-kept", "warning", None, message, {"lengths": lengths})


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


def misaligned_join(one: Examined, axes: Sequence[str]) -> Iterator[Finding]:
    """Paths that meet with other strides, or whose units at the same place look at other centres (Araujo et al. 2019, alignment).

    Tensors laid one after the other along the axis that they move along do not meet (a circular padding, a roll, tokens of several scales).
    """
    index = one.input
    if index is None or not any(isinstance(node.operator, core.Elementwise | core.Concatenation) for node in one.layer.nodes):
        return
    laid = [node.operator.axis for node in one.layer.nodes if isinstance(node.operator, core.Concatenation)]
    views = [(name, seen[index]) for name, seen in zip(one.layer.inputs, one.seen.inputs, strict=False) if index in seen]
    for (name, view), (other, second) in pairwise(views):
        for axis, first, joined in zip(axes, view.fields, second.fields, strict=True):
            if any(field.varies(along) for along in laid for field in (first, joined)):
                continue
            places = placement(first), placement(joined)
            if places[0] is None or places[1] is None or places[0] == places[1]:
                continue
            (stride, centre), (other_stride, other_centre) = places[0], places[1]
            data: dict[str, Any] = {"axis": axis, "paths": [name, other]}
            if stride != other_stride:
                message = f"{name} has stride {float(stride):g} and {other} has stride {float(other_stride):g} along the {axis}"
                yield Finding(
                    "misaligned-join", "warning", one.layer.name, message, data | {"strides": [float(stride), float(other_stride)]}
                )
            else:
                shift = float(other_centre - centre)
                message = f"{other} looks {abs(shift):g} pixels {'after' if shift > 0 else 'before'} {name} along the {axis}"
                yield Finding("misaligned-join", "warning", one.layer.name, message, data | {"shift": shift})


def unproductive_layer(one: Examined) -> Iterator[Finding]:
    """The narrowest path already sees more than the whole input before this layer (Richter et al. 2021)."""
    if one.unproductive:
        needed, lengths = list(one.needed or ()), list(one.lengths)
        unit = "positions" if len(lengths) == 1 else "pixels"
        message = (
            f"its input already has a receptive field of {_times(needed)} {unit} on every path, more than the input of {_times(lengths)}"
        )
        yield Finding("unproductive-layer", "info", one.layer.name, message, {"needed": needed, "input": lengths})


def gridding(one: Examined) -> Iterator[Finding]:
    """Pixels inside the receptive field's box that are not read (Yu, Koltun and Funkhouser 2017, gridding artifacts of dilation)."""
    view = one.view
    if view is not None and view.density is not None and view.density < 1 and weight_node(one.layer) is not None:
        message = f"an inner unit reads {view.density:.1%} of the pixels in its box"
        yield Finding("gridding", "info", one.layer.name, message, {"density": view.density})


def pixels_never_read(one: Examined) -> Iterator[Finding]:
    """A stride that steps over units: no tap of the window ever falls on them."""
    for node in one.layer.nodes:
        operator = node.operator
        if not isinstance(operator, core.Window) or isinstance(operator, core.TransposedConvolution):
            continue
        skipped = []
        for kernel, stride, dilation in zip(operator.kernel, operator.strides, operator.dilations, strict=True):
            read = {k * dilation % stride for k in range(min(kernel, stride))}
            skipped.append(1 - len(read) / stride)
        if any(skipped):
            message = f"the window of {_times(operator.kernel)} at stride {_times(operator.strides)} never reads some units of its input"
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
    """Half or more of the taps fall on padding."""
    counts = one.counts
    if counts is not None and counts.padded and 2 * counts.exact <= counts.padded:
        share = 1 - counts.exact / counts.padded
        message = f"{share:.1%} of the taps fall on padding"
        yield Finding("mostly-padding", "warning", one.layer.name, message, {"share": share})


def dead_filters(one: Examined) -> Iterator[Finding]:
    """Filters all of whose weights are zero."""
    known = one.statistics
    if known is not None and known.dead_filters:
        message = f"{len(known.dead_filters)} of {known.rows} filters have no weight other than zero"
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
    gridding,
    pixels_never_read,
    checkerboard,
    mostly_padding,
    dead_filters,
    duplicate_filters,
    weights_not_finite,
    structured_sparsity,
)
