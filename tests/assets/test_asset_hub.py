"""The hub is asked first, once, and only believed after the hash: a fake hub on loopback."""

from __future__ import annotations

import http.server
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny_wheels import CONTENT, register

from llmexp_utils import asset_sources, assets
from llmexp_utils.asset_table import Asset


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Answer as a model hub does, from ``server.content``; ``server.cut`` ends an answer early."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.server.asked.append("HEAD")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted or "GET")
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        body = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """A hub on loopback that serves CONTENT under every address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.content, server.cut, server.asked = CONTENT, None, []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name in ("HF_HUB_OFFLINE", "LLMEXP_NO_HUB", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    asset_sources._hub_answers.cache_clear()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_hub_comes_first(split: Asset, hub: http.server.HTTPServer, downloads: list[str]) -> None:
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert hub.asked == ["HEAD", "GET"]
    assert downloads == []


def test_hub_download_resumes(split: Asset, hub: http.server.HTTPServer, cache: Path, downloads: list[str]) -> None:
    (cache / ".split.bin.partial").write_bytes(CONTENT[:1234])
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert hub.asked == ["HEAD", "bytes=1234-"]


def test_index_goes_on_where_the_hub_broke_off(
    split: Asset, hub: http.server.HTTPServer, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset_sources, "CHUNK", 100)
    hub.cut = 1500  # inside the second part
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert downloads == ["piece2==1.0", "piece3==1.0"]


def test_hub_with_another_file_is_not_believed(split: Asset, hub: http.server.HTTPServer, downloads: list[str]) -> None:
    hub.content = b"<html>please log in</html>"
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert len(downloads) == 3


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "LLMEXP_NO_HUB"])
def test_hub_can_be_switched_off(
    split: Asset,
    hub: http.server.HTTPServer,
    switch: str,
    monkeypatch: pytest.MonkeyPatch,
    downloads: list[str],
) -> None:
    monkeypatch.setenv(switch, "1")
    assets.fetch("split", progress=False)
    assert hub.asked == []


def test_asset_without_a_hub_source_asks_none(
    split: Asset, hub: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    register(monkeypatch, Asset(split.files, "MIT"))
    assets.fetch("split", progress=False)
    assert hub.asked == []


def test_refused_hub_falls_to_the_index_at_once(
    split: Asset, closed_port: int, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    use_hub(monkeypatch, f"http://127.0.0.1:{closed_port}")
    start = time.monotonic()
    assert not asset_sources._hub_answers(f"http://127.0.0.1:{closed_port}")
    assert time.monotonic() - start < 2
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT


def test_silent_hub_costs_the_limit_once(
    split: Asset, cache: Path, monkeypatch: pytest.MonkeyPatch, timed: Callable[[], float]
) -> None:
    monkeypatch.setattr(asset_sources, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        use_hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        timed()
        asset_sources.from_hub(split, split.files, lambda size: None)
        assert 0.3 < timed() < 2
        asset_sources.from_hub(split, split.files, lambda size: None)
        assert timed() < 0.3


@pytest.fixture
def timed() -> Callable[[], float]:
    """Seconds since the last call."""
    last = [time.monotonic()]

    def lap() -> float:
        now = time.monotonic()
        last[0], seconds = now, now - last[0]
        return seconds

    return lap
