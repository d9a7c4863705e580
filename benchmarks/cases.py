"""What is measured of a file, each in a process of its own: `python benchmarks/cases.py CASE FILE` prints seconds and mebibytes as JSON.

The seconds are the shortest processor time of a few runs; the mebibytes are the most that the process ever held. What others' packages are
needed for is imported only there: where one is missing, the process says so and ends.
"""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Action = Callable[[], object]
MAX_RUNS, ENOUGH_SECONDS = 5, 2.0


def report(path: Path, mode: str) -> Action:
    """Our report."""
    from service.options import Options
    from service.work.analysis import analyze_file

    files = {"": str(path)} | {each.name: str(each) for each in (path.with_suffix(".data"),) if each.exists()}
    return lambda: analyze_file(files, Options(read_weights=mode))


def grid(path: Path) -> Action:
    """Our picture of the first layer's filters."""
    from service.options import Options
    from service.report.identity import options_document
    from service.work.pictures import filters_png

    return lambda: filters_png({"": str(path)}, options_document(Options()), {})


def fields(path: Path) -> Action:
    """Our reading of the structure and the receptive fields alone."""
    from service.analysis.field.axes import layouts, spatial_of
    from service.analysis.field.receptive_field import walk
    from service.options import Options
    from service.readers.model import read_model

    def run() -> object:
        graph = read_model(path, Options(read_weights="none"), {}).graphs[0]
        return [seen.output for seen in walk(graph, spatial_of(layouts(graph)), {})]

    return run


def onnx_load(path: Path) -> Action:
    """ONNX's own reading and shape inference."""
    import onnx

    return lambda: onnx.shape_inference.infer_shapes(onnx.load(path))


def onnx_ir(path: Path) -> Action:
    """onnx-ir's reading and its pass of shape inference."""
    import onnx_ir
    from onnx_ir.passes.common import ShapeInferencePass

    return lambda: ShapeInferencePass()(onnx_ir.load(path))


def onnx_tool(path: Path) -> Action:
    """onnx-tool's reading, shapes and profile."""
    import onnx_tool

    def run() -> object:
        model = onnx_tool.Model(str(path))
        model.graph.shape_infer()
        return model.graph.profile()

    return run


def session(path: Path) -> Action:
    """A session of ONNX Runtime, which is ready to compute."""
    import onnxruntime

    return lambda: onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def mapped(path: Path, kind: str) -> np.ndarray:
    """The file of the weights as an array."""
    data = path.with_suffix(".data")
    file = data if data.exists() else path
    return np.memmap(file, kind, "r", shape=(file.stat().st_size // np.dtype(kind).itemsize,))


def streamed(path: Path, use: Callable[[bytes], object]) -> None:
    """Read a file in blocks."""
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 20):
            use(block)


def sha256(path: Path) -> Action:
    """The digest of the file."""
    return lambda: streamed(path, hashlib.sha256().update)


CASES: dict[str, Callable[[Path], Action]] = {
    "report without values": lambda path: report(path, "none"),
    "report with all values": lambda path: report(path, "all"),
    "grid": grid,
    "receptive fields alone": fields,
    "onnx.load and infer_shapes": onnx_load,
    "onnx-ir load and shape inference": onnx_ir,
    "onnx-tool": onnx_tool,
    "onnxruntime session": session,
    "count_nonzero of float32": lambda path: lambda: np.count_nonzero(mapped(path, "<f4")),
    "count_nonzero of int8": lambda path: lambda: np.count_nonzero(mapped(path, "i1")),
    "SHA-256": sha256,
    "reading": lambda path: lambda: streamed(path, len),
}
OTHERS = ("onnx.load and infer_shapes", "onnx-ir load and shape inference", "onnx-tool", "onnxruntime session")


def best(action: Action) -> float:
    """The shortest processor time of a few runs, in seconds."""
    times: list[float] = []
    while len(times) < MAX_RUNS and sum(times) < ENOUGH_SECONDS:
        gc.collect()
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def most_held() -> float:
    """The most mebibytes that this process held (VmHWM; what getrusage says is never less than what the parent held)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main(case: str, path: str) -> None:
    """Measure and print."""
    try:
        action = CASES[case](Path(path))
    except ImportError as error:
        print(json.dumps({"missing": error.name}))
        return
    seconds = best(action)
    print(json.dumps({"seconds": seconds, "mebibytes": most_held()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
