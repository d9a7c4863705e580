"""How long one edit takes: `python -m benchmarks.what_if [MODEL LAYER]` changes the stride of a layer of a model, and of a chain of 2,000.

It prints the time of the reading and the analysis in a job's process, without its start; the least of several, and that of the processor.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from service.edits import Edit
from service.options import Options
from service.report.identity import options_document
from service.work.previewing import preview_document

LAYERS, ROUNDS = 2000, 7


def chain(folder: Path) -> Path:
    """A spec of 2,000 layers: convolutions of 3×3, each followed by a rectifier."""
    layers = []
    for index in range(LAYERS // 2):
        layers.append({"name": f"conv{index}", "type": "conv", "filters": 8, "kernel": 3, "padding": 1})
        layers.append({"name": f"relu{index}", "type": "activation", "function": "relu"})
    path = folder / "chain.json"
    path.write_text(json.dumps({"receptive": 1, "input": {"shape": [3, 64, 64]}, "layers": layers}))
    return path


def measured(path: Path, layer: str) -> str:
    """The least time of one edit, and the least of the processor, in milliseconds."""
    options = options_document(Options(edits=(Edit(layer, {"stride": 1, "dilation": 2, "padding": "same"}),), read_weights="none"))
    taken = []
    for _ in range(ROUNDS):
        before = time.perf_counter(), time.process_time()
        preview_document({"": str(path)}, options)
        taken.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    wall, processor = (1000 * min(each) for each in zip(*taken, strict=True))
    return f"{path.name}: one edit of {layer} takes {wall:.0f} ms, {processor:.0f} ms of a processor"


if __name__ == "__main__":
    for path, layer in [(Path(sys.argv[1]), sys.argv[2])] if len(sys.argv) == 3 else []:
        print(measured(path, layer))
    with tempfile.TemporaryDirectory() as folder:
        print(measured(chain(Path(folder)), "conv500"))
