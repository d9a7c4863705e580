"""PNG bytes that depend on nothing but the pixels and the texts."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

COMPRESSION = 6


def encode_png(pixels: NDArray[np.uint8], texts: Mapping[str, str] | None = None) -> bytes:
    """The PNG of RGB `pixels` (height, width, 3) with `texts` as tEXt chunks (iTXt where a text is not Latin-1).

    No time stamp and no software name is written and the compression level is fixed, so equal pixels and texts give equal bytes.
    Control characters are dropped from the texts: a NUL would end a tEXt keyword early (PNG specification, 11.3.3).
    """
    metadata = PngInfo()
    for key, text in (texts or {}).items():
        metadata.add_text(key, "".join(character for character in text if character.isprintable()))
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, format="PNG", compress_level=COMPRESSION, pnginfo=metadata)
    return buffer.getvalue()
