"""Values as they lie in a file: mapped piece by piece, in bounded memory; sources that are no file are read in large requests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from service.faults import Refused
from service.sources import local
from service.sources.local import LocalFile, views
from tests.readers.onnx_models import model, node
from tests.readers.wire_bytes import Bytes

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("offset", "length", "step"), [(0, 20_000, 4096), (4097, 9_001, 1000), (1, 0, 10), (19_999, 1, 7), (5, 12_345, 50_000)]
)
def test_pieces_of_a_file_are_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offset: int, length: int, step: int) -> None:
    monkeypatch.setattr(local, "MAPPED_BYTES", 6000)
    data = np.random.default_rng(1).bytes(20_000)
    (tmp_path / "file").write_bytes(data)
    pieces = [bytes(piece) for piece in views(LocalFile(tmp_path / "file"), offset, length, step)]
    assert b"".join(pieces) == data[offset : offset + length]
    assert all(len(piece) == step for piece in pieces[:-1])


def test_a_file_that_became_shorter_is_refused_and_not_looked_at(tmp_path: Path) -> None:
    """To look behind the end of a mapped file would end the process."""
    (tmp_path / "file").write_bytes(bytes(20_000))
    file = LocalFile(tmp_path / "file")
    os.truncate(tmp_path / "file", 5000)
    with pytest.raises(Refused) as caught:
        list(views(file, 4000, 2000, 500))
    assert caught.value.code == "truncated-model"


def test_a_source_that_is_no_file_is_asked_for_much_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "MAPPED_BYTES", 4096)
    source = Bytes(bytes(range(250)) * 40)
    assert b"".join(views(source, 10, 9000, 100)) == source.data[10:9010]
    assert source.reads == [(10, 4000), (4010, 4000), (8010, 1000)]


def test_memory_does_not_grow_with_a_tensor(tmp_path: Path) -> None:
    """A matrix of 256 MiB, which takes no place on the disk, is counted within a few windows of memory."""
    with (tmp_path / "w.bin").open("wb") as file:
        file.truncate(1 << 28)
    outside = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(1 << 13, 1 << 13), data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="w.bin")
    proto = model([node("Gemm", "x", "w", transB=1)], {"x": [1, 1 << 13]})
    proto.graph.initializer.append(outside)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    code = (
        "import re, sys; from service.options import Options; from service.work.analysis import analyze_file\n"
        "def held(): return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "files = {'': sys.argv[1] + '/m.onnx', 'w.bin': sys.argv[1] + '/w.bin'}\n"
        "analyze_file(files, Options(read_weights='none')); before = held()\n"
        "report = analyze_file(files, Options(read_weights='all')); print(held() - before, report.layers[0].values.nonzero)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    kibibytes, nonzero = map(int, found.stdout.split())
    assert nonzero == 0
    assert kibibytes < 64 << 10
