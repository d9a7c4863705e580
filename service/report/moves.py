"""Moves: what could be changed in a network to come nearer to a goal, as small edits, from its report alone.

1. A kernel or a dilation is changed together with the padding, so that the map keeps its size.
2. Strides that belong together, because the layers begin one stage side by side, are changed together.
3. Nothing here is sure to be possible: whoever tries a move analyses the network with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.edits import Edit
from service.report.document import Layer, Report
from service.report.proposals import Goal, GoalName

Axes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to try: its edits, what it does in words, and the sort of change that it is."""

    edits: tuple[Edit, ...]
    words: str
    sort: str

    @property
    def layers(self) -> frozenset[str]:
        """The layers that it changes."""
        return frozenset(edit.layer for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Window:
    """The geometry of a layer as the report says it."""

    layer: Layer
    kernel: Axes
    strides: Axes
    dilations: Axes
    pads: Pads


def moves(goal: Goal, report: Report) -> list[Move]:
    """The moves that may bring a network nearer to a goal, each once."""
    windows = list(_windows(report))
    found = [move for make in _MOVES[goal.name] for move in make(windows)]
    return list({move.edits and str(move.edits): move for move in found}.values())


def _windows(report: Report) -> Iterator[Window]:
    """The layers that slide a window over a map; one that takes in the whole map does not slide."""
    for layer in report.layers:
        if layer.kind not in ("convolution", "pooling"):
            continue
        kernel, strides, dilations, pads = (layer.attributes.get(name) for name in ("kernel", "strides", "dilations", "pads"))
        if not all(isinstance(each, list | tuple) for each in (kernel, strides, dilations, pads)):
            continue
        found = Window(layer, _axes(kernel), _axes(strides), _axes(dilations), _pairs(pads))
        if layer.input_shape is None or found.kernel != tuple(layer.input_shape[2:]):
            yield found


def _axes(value: object) -> Axes:
    return tuple(int(each) for each in value) if isinstance(value, list | tuple) else ()


def _pairs(value: object) -> Pads:
    return tuple((int(before), int(after)) for before, after in value) if isinstance(value, list | tuple) else ()


# -- the sorts of moves --------------------------------------------------------------------------------------------

Make = Callable[[Sequence[Window]], Iterator[Move]]


def _shown(axes: Sequence[object]) -> str:
    values = list(dict.fromkeys(axes))
    return str(values[0]) if len(values) == 1 else "×".join(map(str, axes))


def _plain(axes: Axes) -> int | Axes:
    return axes[0] if len(set(axes)) == 1 else axes


def _slower(windows: Sequence[Window]) -> Iterator[Move]:
    """Half the stride, of one layer or of all that begin a stage."""
    stages: dict[object, list[Window]] = {}
    for window in windows:
        if max(window.strides) > 1:
            field = window.layer.receptive_field
            stages.setdefault(None if field is None else field.stride, []).append(window)
    for stage in stages.values():
        if len(stage) > 1:
            yield _strides(stage, lambda stride: max(stride // 2, 1), "slower")
        yield from (_strides([window], lambda stride: max(stride // 2, 1), "slower") for window in stage)


def _faster(windows: Sequence[Window]) -> Iterator[Move]:
    """Twice the stride."""
    for window in windows:
        if max(window.kernel) > 1:
            yield _strides([window], lambda stride: stride * 2, "faster")


def _strides(windows: Sequence[Window], change: Callable[[int], int], sort: str) -> Move:
    edits, words = [], []
    for window in windows:
        strides = tuple(map(change, window.strides))
        edits.append(Edit(window.layer.name, {"stride": _plain(strides)}))
        words.append(f"{window.layer.name}: stride {_shown(window.strides)} → {_shown(strides)}")
    return Move(tuple(edits), "; ".join(words), sort)


def _removed(windows: Sequence[Window]) -> Iterator[Move]:
    """Without a pooling, or without a convolution that gives the shape that it reads."""
    for window in windows:
        layer = window.layer
        if layer.kind == "pooling" or layer.input_shape == layer.output_shape:
            yield Move((Edit(layer.name, remove=True),), f"{layer.name}: removed", "removed")


def _smaller(windows: Sequence[Window]) -> Iterator[Move]:
    """A kernel that is two shorter."""
    return _reshaped(windows, "smaller", kernel=lambda length: length - 2 if length > 2 else length)


def _larger(windows: Sequence[Window]) -> Iterator[Move]:
    """A kernel that is two longer."""
    return _reshaped(windows, "larger", kernel=lambda length: length + 2 if length > 1 else length)


def _odd(windows: Sequence[Window]) -> Iterator[Move]:
    """A kernel of odd length, which has a middle."""
    yield from _reshaped(windows, "odd-larger", kernel=lambda length: length + 1 - length % 2)
    yield from _reshaped(windows, "odd-smaller", kernel=lambda length: length - 1 + length % 2)


def _dilated(windows: Sequence[Window]) -> Iterator[Move]:
    """Twice the dilation."""
    return _reshaped([window for window in windows if max(window.kernel) > 1], "dilated", dilation=lambda each: each * 2)


def _undilated(windows: Sequence[Window]) -> Iterator[Move]:
    """A smaller dilation: none, half of it, and one less."""
    for name, change in _UNDILATED.items():
        yield from _reshaped(windows, name, dilation=change)


_UNDILATED: Mapping[str, Callable[[int], int]] = {
    "dilation-less": lambda each: max(each - 1, 1),
    "dilation-half": lambda each: max(each // 2, 1),
    "undilated": lambda each: 1,
}


def _same(each: int) -> int:
    return each


def _reshaped(
    windows: Sequence[Window], sort: str, kernel: Callable[[int], int] = _same, dilation: Callable[[int], int] = _same
) -> Iterator[Move]:
    """Other kernels or dilations, and the padding with which the map stays as large."""
    for window in windows:
        kernels, dilations = tuple(map(kernel, window.kernel)), tuple(map(dilation, window.dilations))
        pads = _kept(window, kernels, dilations)
        if pads is None or (kernels, dilations) == (window.kernel, window.dilations):
            continue
        settings: dict[str, int | Axes | Pads] = {}
        words = []
        if kernels != window.kernel:
            settings["kernel"] = _plain(kernels)
            words.append(f"kernel {_shown(window.kernel)} → {_shown(kernels)}")
        if dilations != window.dilations:
            settings["dilation"] = _plain(dilations)
            words.append(f"dilation {_shown(window.dilations)} → {_shown(dilations)}")
        if pads != window.pads:
            settings["padding"] = _plain_pads(pads)
            words.append(f"padding {_shown_pads(window.pads)} → {_shown_pads(pads)}")
        yield Move((Edit(window.layer.name, settings),), f"{window.layer.name}: {', '.join(words)}", sort)


def _kept(window: Window, kernels: Axes, dilations: Axes) -> Pads | None:
    """The padding that makes up for a longer or shorter reach; None where it would have to be less than nothing."""
    pads = []
    axes = zip(window.kernel, window.dilations, kernels, dilations, window.pads, strict=True)
    for old_kernel, old_dilation, kernel, dilation, (before, after) in axes:
        more = dilation * (kernel - 1) - old_dilation * (old_kernel - 1)
        # An odd unit goes to the end that has less.
        small, large = sorted((before, after))
        total = small + large + more
        if total < 0:
            return None
        pads.append((total // 2, total - total // 2) if before <= after else (total - total // 2, total // 2))
    return tuple(pads)


def _plain_pads(pads: Pads) -> int | Axes | Pads:
    if any(before != after for before, after in pads):
        return pads
    return _plain(tuple(before for before, _ in pads))


def _shown_pads(pads: Pads) -> str:
    return _shown([str(before) if before == after else f"{before}:{after}" for before, after in pads])


def _symmetric(windows: Sequence[Window]) -> Iterator[Move]:
    """As much padding before as after."""
    for window in windows:
        if all(before == after for before, after in window.pads):
            continue
        for name, extra in (("symmetric-less", 0), ("symmetric-more", 1)):
            pads = tuple(((before + after + extra) // 2,) * 2 for before, after in window.pads)
            words = f"{window.layer.name}: padding {_shown_pads(window.pads)} → {_shown_pads(pads)}"
            yield Move((Edit(window.layer.name, {"padding": _plain_pads(pads)}),), words, name)


_MOVES: Mapping[GoalName, Sequence[Make]] = {
    "cover-input": (_dilated, _larger, _faster),
    "productive": (_slower, _removed, _smaller, _undilated),
    "aligned": (_symmetric, _odd, _slower),
    "ungridded": (_undilated, _larger, _slower),
    "fewer-connections": (_faster, _smaller, _removed),
}
