"""What a client may choose about one analysis. The same question (model bytes, options, analyser version) has the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `POST /v1/analyses`.

    `input_shapes` fixes symbolic axes by input name (the name "" means the only input); `read_weights` says which values are read
    (`auto`: all up to a configured size, else the first layer's); a weight counts as zero up to `zero_tolerance` in absolute value.
    """

    name: str | None = None
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    read_weights: Literal["auto", "first", "all", "none"] = "auto"
    zero_tolerance: float = 0.0
    channel_order: Literal["rgb", "bgr"] = "rgb"
    external_missing: Literal["error", "ignore"] = "error"


def settled(options: Options, size_bytes: int, auto_read_bytes: int) -> Options:
    """The options with `auto` settled by the size of the files, so that an answer does not change with the configuration."""
    if options.read_weights != "auto":
        return options
    return replace(options, read_weights="all" if size_bytes <= auto_read_bytes else "first")
