"""What is fetched of models that lie elsewhere: for a report without values, for one that reads the first layer, and for its filter grid.

The models are sparse files: ResNet-like stacks of convolutions, of 500 MB and of 3 GB, served by HTTP on this machine by ranges.
"""

from __future__ import annotations

import http.server
import os
import re
import tempfile
import threading
import time
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings

CHANNELS, KERNEL = 512, 3
LAYER_BYTES = CHANNELS * CHANNELS * KERNEL * KERNEL * 4


class Ranges(http.server.BaseHTTPRequestHandler):
    """Sends ranges of the files of a folder, and counts the bytes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder = Path()
    sent = requests = 0

    def do_GET(self) -> None:
        """One range of a file."""
        path = self.folder / self.path.lstrip("/")
        size = path.stat().st_size
        first, last = map(int, re.findall(r"[0-9]+", self.headers["Range"]))
        last = min(last, size - 1)
        with path.open("rb") as file:
            data = os.pread(file.fileno(), last + 1 - first, first)
        type(self).sent += len(data)
        type(self).requests += 1
        self.send_response(206)
        for name, value in (("Content-Range", f"bytes {first}-{last}/{size}"), ("Content-Length", str(len(data))), ("ETag", '"1"')):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def convolutions(path: Path, size: int) -> int:
    """Write a model of about `size` bytes whose weights are holes in the file; how many layers it has."""
    count = size // LAYER_BYTES
    nodes = [helper.make_node("Conv", ["x", "first"], ["y0"], name="first", kernel_shape=[7, 7], strides=[2, 2], pads=[3, 3, 3, 3])]
    shapes = {"first": [CHANNELS, 3, 7, 7]}
    for number in range(count):
        nodes.append(helper.make_node("Conv", [f"y{number}", f"w{number}"], [f"y{number + 1}"], name=f"conv{number}", pads=[1, 1, 1, 1]))
        shapes[f"w{number}"] = [CHANNELS, CHANNELS, KERNEL, KERNEL]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 224, 224])]
    outputs = [helper.make_tensor_value_info(f"y{count}", TensorProto.FLOAT, None)]
    bare = helper.make_graph(nodes, "large", inputs, outputs).SerializeToString()
    tensors = [(_tensor(name, dims), 4 * onnx.numpy_helper.np.prod(dims).item()) for name, dims in shapes.items()]
    inner = len(bare) + sum(len(_head(5, len(head) + values)) + len(head) + values for head, values in tensors)
    opset = helper.make_opsetid("", 17).SerializeToString()
    with path.open("wb") as file:
        file.write(b"\x08\x08" + _head(8, len(opset)) + opset + _head(7, inner) + bare)
        for head, values in tensors:
            file.write(_head(5, len(head) + values) + head)
            file.seek(values, os.SEEK_CUR)
        file.truncate(file.tell())
    return len(nodes)


def _tensor(name: str, dims: list[int]) -> bytes:
    """A TensorProto up to the bytes of its values."""
    head = TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT).SerializeToString()
    values = 4 * onnx.numpy_helper.np.prod(dims).item()
    return head + _head(9, values)


def _head(field: int, length: int) -> bytes:
    """The tag of a field and its length."""
    parts = bytearray([field << 3 | 2])
    while length > 127:
        parts.append(length & 127 | 128)
        length >>= 7
    return bytes([*parts, length])


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as place:
        Ranges.folder = Path(place)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        app = create_app(Settings(data_dir=Path(place) / "data", sources_allowed=origin, wait_seconds=600.0, log_level="ERROR"))
        client = app.test_client()
        print("| model | question | fetched | of the file | requests | seconds |\n|---|---|---|---|---|---|")
        for name, size in (("500 MB", 500_000_000), ("3 GB", 3_000_000_000)):
            layers = convolutions(Path(place) / f"{layers_name(name)}.onnx", size)
            for weights in ("none", "first"):
                body = {"source": f"{origin}/{layers_name(name)}.onnx", "options": {"read_weights": weights}}
                report = _measured(
                    f"{name}, {layers} layers | report, read_weights={weights}",
                    size,
                    lambda body=body: client.post("/v1/analyses", json=body),
                )
            address = f"/v1/analyses/{report.json['id']}/filters.png"
            _measured(f"{name}, {layers} layers | filters.png", size, lambda address=address: client.get(address))
        app.extensions[EXTENSION].close()
        server.shutdown()


def layers_name(name: str) -> str:
    """A file name for a model."""
    return name.replace(" ", "")


def _measured(title: str, size: int, ask):
    """The answer of one request, after a line on what it fetched."""
    Ranges.sent = Ranges.requests = 0
    begun = time.perf_counter()
    answer = ask()
    seconds = time.perf_counter() - begun
    assert answer.status_code in (200, 201), answer.data[:300]
    print(f"| {title} | {Ranges.sent:,} | {Ranges.sent / size:.3%} | {Ranges.requests} | {seconds:.2f} |")
    return answer


if __name__ == "__main__":
    main()
