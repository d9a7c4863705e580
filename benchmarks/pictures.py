"""Every picture of ResNet-50 over HTTP, warm, against the model's whole analysis in this one run: part of `make bench`.

The network is He et al. 2016, table 1, with random weights, so that nothing needs to be fetched. The server is gunicorn as it is deployed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

REPOSITORY = Path(__file__).resolve().parents[1]
REQUESTS = 10
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
PICTURES = (
    "/filters.png",
    "/filters.png?scale=16&labels=true",
    "/filters",
    "/layers/0/connectivity.svg?view=graph",
    "/layers/0/connectivity.svg?view=matrix",
    "/layers/0/connectivity.svg?view=graph&animate=true",
    "/receptive-field.svg",
    "/receptive-field.png",
    "/receptive-field.vl.json",
    "/sharing.svg",
    "/sharing.png",
    "/colour.svg",
    "/colour.png",
    "/receptive-field/overlay.png?layer=0",
    "/receptive-field/overlay.png",
    "/hierarchy/1.png",
    "/hierarchy/2.png",
    "/hierarchy/3.png",
    "/badge.svg",
    ".html",
    ".md",
    ".csv",
)


class Builder:
    """The nodes and weights of a network that is being put together."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def add(self, operator: str, inputs: list[str], **attributes: object) -> str:
        """A node, by the name of its output."""
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, *shape: int) -> str:
        """A random weight of a variance that keeps activations at their size (He et al. 2015)."""
        name = f"w{len(self.weights)}"
        values = self._random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, source: str, channels: int, filters: int, kernel: int, stride: int = 1) -> str:
        """A convolution whose output is as large as its stride allows."""
        inputs = [source, self.weight(filters, channels, kernel, kernel)]
        return self.add("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)


def resnet50() -> bytes:
    """ResNet-50 for images of 224×224 pixels, 25.5 million random weights."""
    b = Builder()
    last = b.add("Relu", [b.conv("image", 3, 64, 7, 2)])
    last, channels = b.add("MaxPool", [last], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
    for stage, (blocks, width) in enumerate(STAGES):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = b.add("Relu", [b.conv(last, channels, width, 1)])
            inner = b.add("Relu", [b.conv(inner, width, width, 3, stride)])
            short = last if block else b.conv(last, channels, 4 * width, 1, stride)
            last, channels = b.add("Relu", [b.add("Add", [b.conv(inner, width, 4 * width, 1), short])]), 4 * width
    last = b.add("Gemm", [b.add("Flatten", [b.add("GlobalAveragePool", [last])]), b.weight(1000, channels)], transB=1)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("image", [1, 3, 224, 224]), (last, [1, 1000]))
    ]
    graph = helper.make_graph(b.nodes, "resnet-50", ends[:1], ends[1:], b.weights)
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())


@contextlib.contextmanager
def served(folder: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection to a server of its own, which ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PORT": str(port), "RECEPTIVE_DATA_DIR": str(folder / "data"), "RECEPTIVE_LOG_LEVEL": "ERROR"}
    command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--log-level", "error", "service.api:create_app()"]
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        while not is_ready(connection):
            time.sleep(0.1)
        yield connection
    finally:
        connection.close()
        process.terminate()
        process.wait()


def is_ready(connection: http.client.HTTPConnection) -> bool:
    """Whether the server answers and can take work."""
    try:
        return asked(connection, "GET", "/readyz")[0] == 200
    except OSError:
        connection.close()
        return False


def asked(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, str, float]:
    """The status, the Location and the wall time in seconds of a request."""
    start = time.perf_counter()
    connection.request(method, path, body, {"Content-Type": "application/onnx", "Prefer": "wait=120"})
    response = connection.getresponse()
    response.read()
    return response.status, response.headers.get("Location", ""), time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as connection:
        status, place, analysis = asked(connection, "POST", "/v1/analyses", resnet50())
        assert status == 201
        print(f"ResNet-50 over HTTP: the median of {REQUESTS} requests after the first / its upload and analysis ({analysis:.1f} s)")
        for path in PICTURES:
            first = asked(connection, "GET", place + path)
            assert first[0] == 200, (path, first)
            seconds = statistics.median(asked(connection, "GET", place + path)[2] for _ in range(REQUESTS))
            print(f"{seconds / analysis:8.3f}  {path}  ({1e3 * seconds:.0f} ms, the first {1e3 * first[2]:.0f} ms)", flush=True)


if __name__ == "__main__":
    main()
