"""Costs as ratios, each measured in this one run on this machine: `make bench`.

Ratios travel between machines, seconds do not; the seconds behind them are printed beside. Every figure is the best of a few runs.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from service.options import Options
from service.readers.model import read_model
from service.report.identity import options_document
from service.work.analysis import analyze_file
from service.work.pictures import filters_png

RUNS = 3


def best(action: Callable[[], object], runs: int = RUNS) -> float:
    """The shortest processor time of a few runs, in seconds."""
    times = []
    for _ in range(runs):
        gc.collect()
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def saved(folder: Path, name: str, graph: onnx.GraphProto) -> Path:
    """A model file with this graph."""
    path = folder / name
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
    return path


def chain(folder: Path, nodes: int) -> Path:
    """A residual chain of convolutions, four nodes to a block, all with one stored kernel."""
    kernel = helper.make_tensor("w", TensorProto.FLOAT, [4, 4, 3, 3], np.full(144, 0.5, np.float32))
    steps, last = [], "x"
    for i in range(nodes // 4):
        steps += [
            helper.make_node("Conv", [last, "w"], [f"a{i}"], pads=[1, 1, 1, 1], name=f"conv{i}"),
            helper.make_node("Relu", [f"a{i}"], [f"b{i}"], name=f"relu{i}"),
            helper.make_node("Conv", [f"b{i}", "w"], [f"c{i}"], pads=[1, 1, 1, 1], name=f"more{i}"),
            helper.make_node("Add", [f"c{i}", last], [f"d{i}"], name=f"add{i}"),
        ]
        last = f"d{i}"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 64, 64]) for name in ("x", last)]
    return saved(folder, f"chain{nodes}.onnx", helper.make_graph(steps, "chain", ends[:1], ends[1:], [kernel]))


def heavy(folder: Path, mebibytes: int) -> Path:
    """Dense layers of 4 MiB each."""
    block = np.ones((1024, 1024), np.float32).tobytes()
    weights = [helper.make_tensor(f"w{i}", TensorProto.FLOAT, [1024, 1024], block, raw=True) for i in range(mebibytes // 4)]
    steps = [helper.make_node("MatMul", [f"y{i}", f"w{i}"], [f"y{i + 1}"], name=f"dense{i}") for i in range(len(weights))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1024]) for name in ("y0", f"y{len(weights)}")]
    return saved(folder, f"heavy{mebibytes}.onnx", helper.make_graph(steps, "heavy", ends[:1], ends[1:], weights))


def show(what: str, ratio: float, detail: str) -> None:
    """One line of the result."""
    print(f"{ratio:8.2f}  {what}  ({detail})", flush=True)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        unread = Options(read_weights="none")
        costs = {n: best(partial(analyze_file, {"": str(chain(folder, n))}, unread)) / n for n in (2_000, 20_000)}
        detail = f"{1e6 * costs[20_000]:.0f} µs and {1e6 * costs[2_000]:.0f} µs"
        show("cost per node of a chain of 20,000 nodes / of 2,000 nodes", costs[20_000] / costs[2_000], detail)

        large = heavy(folder, 256)
        opened = best(lambda: read_model(large, unread, {}))
        loaded = best(lambda: onnx.shape_inference.infer_shapes(onnx.load_model_from_string(large.read_bytes())))
        detail = f"{1e3 * loaded:.0f} ms and {1e3 * opened:.0f} ms"
        show("parsing and shape inference by onnx of 256 MiB / read_model of the same file", loaded / opened, detail)

        example = str(Path(__file__).resolve().parents[1] / "examples" / "photographs.onnx")
        whole = best(lambda: analyze_file({"": example}, Options()))
        grid = best(lambda: filters_png({"": example}, options_document(Options()), {}))
        show("weight grid of the example / its whole analysis", grid / whole, f"{1e3 * grid:.0f} ms and {1e3 * whole:.0f} ms")


if __name__ == "__main__":
    main()
