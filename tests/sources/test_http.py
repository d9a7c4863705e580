"""Models on HTTP servers: exact ranges of one version, and an end within bounds whatever a server does."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.faults import Refused
from service.report.identity import Identity
from service.sources import pinned
from service.sources.opening import Sources
from tests.sources.servers import Handler, Misbehave, Site, site

CONTENT = bytes(range(256)) * 300


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as made:
        yield made


def sources_of(server: Site, tmp_path: Path) -> Sources:
    return Sources(server.origin, "", tmp_path, 1 << 20)


def test_ranges_of_one_version_are_read(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    address = server.put("folder/m.onnx", CONTENT)
    found = sources.find(sources.check(address))
    assert found.identity == Identity("object", f'{address}#"1"')
    assert found.source.size == len(CONTENT)
    assert found.source.read(7000, 5000) == CONTENT[7000:12_000]
    assert found.source.bytes_fetched == server.bytes_sent - 1 < 20_000  # one byte was asked for to see what is there
    assert all(headers["if-match"] == '"1"' for _, headers in server.asked[1:])


def test_identity_opens_the_same_version_and_no_other(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    address = server.put("m.onnx", CONTENT)
    identity = sources.find(sources.check(address)).identity
    assert sources.open(identity).read(5, 5) == CONTENT[5:10]
    server.put("m.onnx", CONTENT, '"2"')
    with pytest.raises(Refused) as caught:
        sources.open(identity)
    assert (caught.value.fault, caught.value.code) == ("source", "source-changed")


@pytest.mark.parametrize("kept", ['"1"', 'W/"1"', "date"])
def test_change_while_reading_is_noticed(server: Site, tmp_path: Path, kept: str) -> None:
    sources = sources_of(server, tmp_path)
    address = server.put("m.onnx", CONTENT, kept)
    if kept == "date":
        server.misbehave = dated("Mon, 30 Nov 2026 01:00:00 GMT")
    source = sources.find(sources.check(address)).source
    source.read(0, 10)
    server.put("m.onnx", CONTENT, kept.replace("1", "2"))
    if kept == "date":
        server.misbehave = dated("Mon, 30 Nov 2026 02:00:00 GMT")
    with pytest.raises(Refused) as caught:
        source.read(50_000, 10)
    assert caught.value.code == "source-changed"


def dated(when: str) -> Misbehave:
    def answer(handler: Handler, start: int, stop: int) -> None:
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(CONTENT)}", "Last-Modified": when}
        handler.site.tags["m.onnx"] = None
        handler.reply(206, CONTENT[start:stop], headers)

    return answer


def test_file_that_goes_or_grows_while_reading_has_changed(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    for change in ("grow", "go"):
        source = sources.find(sources.check(server.put("m.onnx", CONTENT))).source
        if change == "grow":
            server.files["m.onnx"] = CONTENT + b"more"
        else:
            del server.files["m.onnx"]
        with pytest.raises(Refused) as caught:
            source.read(50_000, 10)
        assert caught.value.code == "source-changed"


def test_files_beside_are_found_where_they_are(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    found = sources.find(sources.check(server.put("folder/m.onnx", CONTENT)))
    server.put("folder/w.bin", b"weights")
    beside = sources.beside(found.identity, "w.bin")
    assert beside is not None and beside.source.read(0, 7) == b"weights"
    assert sources.beside(found.identity, "other.bin") is None
    assert sources.beside(found.identity, "a?b") is None and sources.beside(found.identity, "..") is None


def test_what_was_found_is_read_on_where_it_is_opened(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    found = sources.find(sources.check(server.put("m.onnx", CONTENT)))
    found.source.read(0, 100)
    sources.hand_over(found)
    requests = len(server.asked)
    opened = sources.open(found.identity)
    assert opened is found.source and opened.read(50, 50) == CONTENT[50:100]
    assert len(server.asked) == requests
    assert sources.open(found.identity) is not opened  # it is another's now


def whole(handler: Handler, start: int, stop: int) -> None:
    handler.reply(200, CONTENT)


def moved(handler: Handler, start: int, stop: int) -> None:
    handler.reply(302, b"", {"Location": "http://169.254.169.254/latest/meta-data"})


def moved_here(handler: Handler, start: int, stop: int) -> None:
    handler.reply(307, b"", {"Location": f"{handler.site.origin}/other"})


def broken(handler: Handler, start: int, stop: int) -> None:
    handler.reply(500, b"oh")


def shifted(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, CONTENT[:1], {"Content-Range": f"bytes {start + 1}-{stop}/{len(CONTENT)}"})


def short(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, b"", {"Content-Range": f"bytes {start}-{stop - 1}/{len(CONTENT)}"})


def long(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, CONTENT, {"Content-Range": f"bytes {start}-{stop - 1}/{len(CONTENT)}"})


def closes_early(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, b"", {"Content-Range": f"bytes {start}-{stop - 1}/{len(CONTENT)}"}, length=stop - start)
    handler.close_connection = True


def without_a_size(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, CONTENT[start:stop], {"Content-Range": f"bytes {start}-{stop - 1}/*"})


def without_a_range(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, CONTENT[start:stop])


def unversioned(handler: Handler, start: int, stop: int) -> None:
    handler.site.tags["m.onnx"] = None
    handler.range(CONTENT, start, stop)


def no_http(handler: Handler, start: int, stop: int) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    handler.close_connection = True


def endless_header(handler: Handler, start: int, stop: int) -> None:
    handler.wfile.write(b"HTTP/1.1 206 Partial\r\n" + b"X: " + b"y" * 300_000 + b"\r\n\r\n")
    handler.close_connection = True


def hangs_up(handler: Handler, start: int, stop: int) -> None:
    handler.close_connection = True


LIES = [
    whole,
    moved,
    moved_here,
    broken,
    shifted,
    long,
    short,
    closes_early,
    without_a_size,
    without_a_range,
    unversioned,
    no_http,
    endless_header,
    hangs_up,
]


@pytest.mark.parametrize("lie", LIES)
def test_server_that_lies_ends_in_a_failure(server: Site, tmp_path: Path, lie: Misbehave) -> None:
    sources = sources_of(server, tmp_path)
    address = server.put("m.onnx", CONTENT)
    source = sources.find(sources.check(address)).source
    server.misbehave = lie
    for attempt in (lambda: sources.find(sources.check(address)).source.read(0, 10), lambda: source.read(0, 10)):
        with pytest.raises(Refused) as caught:
            attempt()
        assert (caught.value.fault, caught.value.code) == ("source", "source-failed")
    assert not any(path == "/other" for path, _ in server.asked)


def slow_body(handler: Handler, start: int, stop: int) -> None:
    handler.reply(206, b"", {"Content-Range": f"bytes {start}-{stop - 1}/{len(CONTENT)}"}, length=stop - start)
    handler.trickle(CONTENT[start:stop], 0.05)


def slow_header(handler: Handler, start: int, stop: int) -> None:
    handler.trickle(b"HTTP/1.1 206 Partial Content\r\n" + b"X: y\r\n" * 1000, 0.05)


def endless_information(handler: Handler, start: int, stop: int) -> None:
    handler.trickle(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.02)


def silent(handler: Handler, start: int, stop: int) -> None:
    time.sleep(3)


@pytest.mark.parametrize("slow", [slow_body, slow_header, endless_information, silent])
def test_server_that_is_slow_ends_in_time(server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: Misbehave) -> None:
    sources = sources_of(server, tmp_path)
    source = sources.find(sources.check(server.put("m.onnx", CONTENT))).source
    monkeypatch.setattr(pinned, "REQUEST_SECONDS", 0.5)
    monkeypatch.setattr(pinned, "PAUSE_SECONDS", 0.4)
    server.misbehave = slow
    begun = time.monotonic()
    with pytest.raises(Refused, match="in time") as caught:
        source.read(0, 10)
    assert caught.value.code == "source-failed"
    assert time.monotonic() - begun < 1.5


def test_connection_that_was_closed_meanwhile_is_made_anew(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    source = sources.find(sources.check(server.put("m.onnx", CONTENT))).source

    def once(handler: Handler, start: int, stop: int) -> None:
        server.misbehave = None
        handler.close_connection = True

    server.misbehave = once
    assert source.read(0, 10) == CONTENT[:10]


@pytest.mark.parametrize(("content", "fault"), [(None, ("source", "source-not-found")), (b"", ("malformed", "empty-body"))])
def test_file_that_is_not_there_or_empty(server: Site, tmp_path: Path, content: bytes | None, fault: tuple[str, str]) -> None:
    sources = sources_of(server, tmp_path)
    address = server.put("m.onnx", content or b"")
    if content is None:
        del server.files["m.onnx"]
    with pytest.raises(Refused) as caught:
        sources.find(sources.check(address))
    assert (caught.value.fault, caught.value.code) == fault


def test_host_that_is_not_there_fails(tmp_path: Path) -> None:
    sources = Sources("http://127.0.0.1:9 https://no-such-host.invalid", "", tmp_path, 1 << 20)
    for address in ("http://127.0.0.1:9/m.onnx", "https://no-such-host.invalid/m.onnx"):
        with pytest.raises(Refused) as caught:
            sources.find(sources.check(address))
        assert caught.value.code == "source-failed"


def test_name_is_looked_up_once_and_vetted(server: Site, tmp_path: Path) -> None:
    """DNS rebinding: the name leads to this machine from its second look-up on."""
    asked: list[str] = []
    port = int(server.origin.rpartition(":")[2])

    def rebinding(host: str, _: int) -> list[ipaddress.IPv4Address]:
        asked.append(host)
        return [ipaddress.IPv4Address("127.0.0.1")]

    named = f"http://models.example.org:{port}/m.onnx"
    server.put("m.onnx", CONTENT)
    refusing = Sources(f"http://models.example.org:{port}", "", tmp_path, 1 << 20, rebinding)
    with pytest.raises(Refused) as caught:
        refusing.find(refusing.check(named))
    assert caught.value.code == "source-not-allowed" and server.asked == []
    allowing = Sources(f"http://models.example.org:{port} 127.0.0.1/32", "", tmp_path, 1 << 20, rebinding)
    asked.clear()
    source = allowing.find(allowing.check(named)).source
    source.read(0, 10)
    source.read(50_000, 10)
    assert asked == ["models.example.org"]
    assert {headers["host"] for _, headers in server.asked} == {f"models.example.org:{port}"}


def test_no_proxy_is_asked(server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    sources = sources_of(server, tmp_path)
    assert sources.find(sources.check(server.put("m.onnx", CONTENT))).source.read(0, 1) == CONTENT[:1]


def test_nothing_secret_is_sent(server: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    sources = sources_of(server, tmp_path)
    sources.find(sources.check(server.put("m.onnx", CONTENT)))
    assert all("authorization" not in headers and "cookie" not in headers for _, headers in server.asked)


def test_folders_of_http_servers_cannot_be_listed(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    with pytest.raises(Refused, match="cannot be listed"):
        sources.page(sources.check(f"{server.origin}/folder/"), None)
    with pytest.raises(Refused, match="is a folder"):
        sources.find(sources.check(f"{server.origin}/folder/"))


def test_two_threads_read_two_files_of_one_identity(server: Site, tmp_path: Path) -> None:
    sources = sources_of(server, tmp_path)
    identity = sources.find(sources.check(server.put("m.onnx", CONTENT))).identity
    read: list[bytes] = []
    threads = [threading.Thread(target=lambda: read.append(sources.open(identity).read(100, 5000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [CONTENT[100:5100]] * 4
