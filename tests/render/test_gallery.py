"""`make gallery` draws the examples that have filters and says of the others why not."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_example_is_drawn_or_accounted_for(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "examples/gallery.py", "--output", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    examples = {path.stem for path in (REPOSITORY / "examples").iterdir() if path.suffix in (".onnx", ".json")}
    said = dict(line.split(": ", 1) for line in run.stdout.splitlines() if ": " in line)
    assert set(said) == examples
    drawn = {path.stem for path in tmp_path.glob("*.png")} - {"contact-sheet"}
    assert drawn == {name for name, words in said.items() if not words.startswith("not drawn")}
    assert "oriented edges" in said["photographs"] and "colour blobs" in said["photographs"]
    sheet = np.asarray(Image.open(tmp_path / "contact-sheet.png"))
    first = np.asarray(Image.open(io.BytesIO((tmp_path / f"{min(drawn)}.png").read_bytes())))
    assert any(np.array_equal(sheet[y : y + first.shape[0], 12 : 12 + first.shape[1]], first) for y in range(12, 40)), (
        "the first grid stands whole at the top left"
    )
