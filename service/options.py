"""What a client may choose about one analysis. The same question (model bytes, options, analyser version) has the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from service.edits import Edit

ReadWeights = Literal["auto", "first", "all", "none"]
ChannelOrder = Literal["rgb", "bgr"]
ExternalMissing = Literal["error", "ignore"]

MOST_AXES, LARGEST_AXIS = 16, 2**31 - 1
"""Axes of an input shape, and the length of one, at the most."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `POST /v1/analyses`.

    `input_shapes` fixes symbolic axes by input name (the name "" means the only input); `read_weights` says which values are read
    (`auto`: all up to a configured size, else the first layer's); a weight counts as zero up to `zero_tolerance` in absolute value.
    A variant of a network has `edits`, and shapes that take the place of those that the model states (`resized`; -1 leaves an axis).
    """

    name: str | None = None
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    read_weights: ReadWeights = "auto"
    zero_tolerance: float = 0.0
    channel_order: ChannelOrder = "rgb"
    external_missing: ExternalMissing = "error"
    edits: tuple[Edit, ...] = ()
    resized: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def varied(self) -> bool:
        """Whether the network is to be changed before it is analysed."""
        return bool(self.edits or self.resized)


def whole_numbers(text: str, most: int = MOST_AXES, digits: int = 10) -> list[int]:
    """The numbers of a list such as 1,3,224,224; none where it has more than `most`, or anything but at most so many ASCII digits."""
    parts = text.split(",")
    valid = len(parts) <= most and all(part.isascii() and part.isdigit() and len(part) <= digits for part in parts)
    return [int(part) for part in parts] if valid else []


def settled(options: Options, size_bytes: int, auto_read_bytes: int) -> Options:
    """The options with `auto` settled by the size of the files, so that an answer does not change with the configuration."""
    if options.read_weights != "auto":
        return options
    return replace(options, read_weights="all" if size_bytes <= auto_read_bytes else "first")
