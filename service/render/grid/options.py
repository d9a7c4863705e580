"""What a client may choose about a weight grid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import ImageColor

from service.faults import pointer_to, refused_at
from service.options import ChannelOrder

Normalize = Literal["filter", "layer", "symmetric"]
Colormap = Literal["grey", "diverging", "cubehelix"]
Sort = Literal["index", "norm", "orientation", "frequency", "colour"]

MAX_COLUMNS = 4096
MAX_SCALE = 256
MAX_GAP = 64


@dataclass(frozen=True, slots=True)
class GridOptions:
    """The grid options of `filters.png`; None means the default, which depends on the layer (docs/filters.md).

    `channels` is `rgb`, `mean`, `each` or three channel indices to be shown as red, green and blue, such as `0,2,1`. `background` is a
    CSS colour. `channel_order` is the order in which the model reads colour. Raises Refused on a value out of range.
    """

    columns: int | None = None
    scale: int | None = None
    gap: int | None = None
    normalize: Normalize = "filter"
    channels: str | None = None
    colormap: Colormap = "grey"
    sort: Sort = "index"
    labels: bool = False
    background: str = "#ffffff"
    channel_order: ChannelOrder = "rgb"

    def __post_init__(self) -> None:
        _check_range("columns", self.columns, 1, MAX_COLUMNS)
        _check_range("scale", self.scale, 1, MAX_SCALE)
        _check_range("gap", self.gap, 0, MAX_GAP)
        _check_choice("normalize", self.normalize, get_args(Normalize))
        _check_choice("sort", self.sort, get_args(Sort))
        _check_choice("channel_order", self.channel_order, get_args(ChannelOrder))
        _check_choice("colormap", self.colormap, get_args(Colormap))
        if self.channels is not None and self.channels not in ("rgb", "mean", "each") and self.triple is None:
            detail = f"channels must be rgb, mean, each or three indices such as 0,2,1, not {self.channels!r}"
            raise refused_at(pointer_to("channels"), "invalid-option", detail)
        _ = self.background_colour

    @property
    def triple(self) -> tuple[int, int, int] | None:
        """The three channel indices that `channels` names, or None where it names none."""
        match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})", self.channels or "", re.ASCII)
        return (int(match[1]), int(match[2]), int(match[3])) if match else None

    @property
    def background_colour(self) -> tuple[int, int, int]:
        """The background as RGB in 0..255; transparency is ignored."""
        try:
            red, green, blue = ImageColor.getrgb(self.background[:100])[:3]
        except ValueError as error:
            detail = "background must be a CSS colour such as #ffffff or white"
            raise refused_at(pointer_to("background"), "invalid-option", detail) from error
        return red, green, blue


def _check_range(option: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise refused_at(pointer_to(option), "invalid-option", f"{option} must lie between {lowest} and {highest}, not {value}")


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise refused_at(pointer_to(option), "invalid-option", f"{option} must be one of {', '.join(choices)}, not {value!r}")
