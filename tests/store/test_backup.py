"""Backup and restore as docs/operations.md says, while the store goes on."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from service.report.identity import DEFAULT_PROJECT, Digest
from service.settings import Settings
from service.store import Store, open_store
from tests.contracts.test_reports import report

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "operations.md"


def add(store: Store, number: int) -> str:
    content, text = f"model {number}".encode(), b'{"a": %d}' % number
    digest = Digest(hashlib.sha256(content).hexdigest())
    kept = report(number, blobs={"": digest}, etag=hashlib.sha256(text).hexdigest(), size_bytes=len(text))
    store.blobs.put(io.BytesIO(content), digest)
    store.reports.add(kept, text)
    return kept.id


def test_backup_of_a_store_in_use_is_restored_whole(tmp_path: Path) -> None:
    commands = re.findall(r'^python -c "(.*)"$', DOCUMENTATION.read_text(), re.MULTILINE)
    assert len(commands) == 1
    store = open_store(Settings(data_dir=tmp_path / "data"))
    before = [add(store, number) for number in (1, 2, 3)]
    (tmp_path / "backup").mkdir()
    subprocess.run([sys.executable, "-c", commands[0].replace('\\"', '"')], cwd=tmp_path, check=True)
    later = add(store, 4)
    shutil.copytree(tmp_path / "data" / "blobs", tmp_path / "backup" / "blobs")
    store.close()
    restored = open_store(Settings(data_dir=tmp_path / "backup"))
    assert [restored.reports.has(DEFAULT_PROJECT, each) for each in (*before, later)] == [True, True, True, False]
    assert list(restored.verify()) == []
    restored.close()
