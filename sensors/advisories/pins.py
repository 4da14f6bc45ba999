"""Which versions a repository pins: requirements and constraints, pyproject.toml, and the common lock files. Pure.

Only Python packages, and only what names one exactly; what a line means on which machine is not asked, so each of two
pins for two machines counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ledger.parsers.json import read_json
from ledger.parsers.toml import read_toml
from ledger.vocabulary import ClosureAnswer, Frozen, VersionAtLeast, VersionSpan
from sensors.python_source.syntax import FOREIGN

if TYPE_CHECKING:
    from packaging.version import Version

REQUIREMENTS = re.compile(
    r"(?:^|/)(?:(?:requirements|constraints)[^/]*|(?:requirements|constraints)/[^/]+)\.(?:txt|in)$"
)
LOCKS = frozenset({"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock"})
POETRY_EXACT = re.compile(r"=*\s*(\d[^\s,*|]*)$")
Rows = Iterable[tuple[str, object]]


class UnreadablePins(ValueError):
    """A file does not have the format of its name; the text gives the reason."""


class Pin(Frozen):
    """One mention of a package. ``version`` is the one that it must have, ``least`` the lowest that it may have."""

    package: str  # as the index spells it: lower case, with dashes
    version: str | None = None
    least: str | None = None
    locked: bool = False  # with checksums, or in a lock file: a tool writes it, nobody by hand


def is_manifest(path: str) -> bool:
    """Does a file of this name pin versions?"""
    pure = PurePosixPath(path)
    if not FOREIGN.isdisjoint(pure.parts[:-1]):
        return False
    return pure.name in LOCKS or pure.name == "pyproject.toml" or REQUIREMENTS.search(path) is not None


def pins(path: str, data: bytes) -> tuple[Pin, ...]:
    """The versions that a file pins. Raises :class:`UnreadablePins`."""
    name = PurePosixPath(path).name
    read = READERS.get(name, _of_requirements)
    try:
        return tuple(read(data.decode("utf-8-sig")))
    except (ValueError, RecursionError) as error:  # of the decoder, TOML and JSON
        raise UnreadablePins(str(error)[:200]) from error


def version_answer(check: VersionAtLeast, data: bytes | None) -> ClosureAnswer:
    """Closed when each mention of the package demands the version or a later one. Pure."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"{check.path} is gone.")
    wanted = parse_version(check.version)
    try:
        found = [pin for pin in pins(check.path, data) if pin.package == check.package]
    except UnreadablePins as error:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read: {error}.")
    if not found:
        return ClosureAnswer(closed=False, gone=True, reason=f"{check.path} does not name {check.package} any more.")
    for pin in found:
        least = parse_version(pin.least) if pin.least else None
        if least is None or wanted is None:
            return ClosureAnswer(closed=False, reason=f"{check.path} does not say from where on {check.package} is.")
        if least < wanted:
            why = f"{check.path} pins {check.package} {pin.least}, which is below {check.version}."
            return ClosureAnswer(closed=False, reason=why)
        if pin.version is not None and any(_holds(span, least) for span in check.but):
            why = f"{check.path} pins {check.package} {pin.version}, which has a known defect, too."
            return ClosureAnswer(closed=False, reason=why)
    return ClosureAnswer(closed=True, reason=f"{check.path} pins {check.package} {found[0].least}")


def _holds(span: VersionSpan, version: Version) -> bool:
    first, end = parse_version(span.first), parse_version(span.end) if span.end else None
    if first is None or version < first:
        return False
    return end is None or version < end or (span.closed and version == end)


def parse_version(text: str) -> Version | None:
    """A version without its local part, so that ``1.2+cpu`` is the 1.2 that advisories speak of; None: it is none."""
    from packaging.version import Version

    try:
        return Version(Version(text).public)
    except ValueError:  # no version, or one with a number of thousands of digits
        return None


def canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return str(canonicalize_name(name))


# --- the forms ---


def _of_requirements(text: str) -> Iterator[Pin]:
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if not bare or bare.startswith("-"):
            continue
        words, _, options = bare.partition(" --")
        yield from _of_requirement(words, locked="hash=" in options)


def _of_requirement(text: object, *, locked: bool = False) -> Iterator[Pin]:
    """The pin of a PEP 508 requirement; nothing for other lines (a folder, a URL)."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(str(text).strip())
    except InvalidRequirement:
        return
    if requirement.url is not None:
        return
    exact = least = None
    for specifier in requirement.specifier:
        if specifier.operator in ("==", "===") and not specifier.version.endswith(".*"):
            exact = least = specifier.version
        elif specifier.operator in (">=", "~=", "==") and exact is None:
            least = specifier.version.removesuffix(".*")
    yield Pin(package=canonical(requirement.name), version=exact, least=least, locked=locked)


def _of_pyproject(text: str) -> Iterator[Pin]:
    told = read_toml(text)
    project, tool = _table(told, "project"), _table(told, "tool")
    uv, poetry = _table(tool, "uv"), _table(tool, "poetry")
    lists: list[object] = [
        project.get("dependencies"),
        _table(told, "build-system").get("requires"),
        uv.get("dev-dependencies"),
        uv.get("constraint-dependencies"),
        *_table(project, "optional-dependencies").values(),
        *_table(told, "dependency-groups").values(),
    ]
    for one in lists:
        for text_ in one if isinstance(one, list) else ():
            if isinstance(text_, str):
                yield from _of_requirement(text_)
    groups = [_table(group, "dependencies") for group in _table(poetry, "group").values() if isinstance(group, dict)]
    for table in (_table(poetry, "dependencies"), _table(poetry, "dev-dependencies"), *groups):
        yield from _of_poetry(table.items())


def _of_poetry(rows: Rows) -> Iterator[Pin]:
    for name, told in rows:
        for one in told if isinstance(told, list) else [told]:
            said = one.get("version") if isinstance(one, dict) else one
            if not isinstance(said, str) or name == "python":
                continue
            exact = POETRY_EXACT.match(said.strip())
            version = exact[1] if exact else None
            lower = version or next(iter(re.findall(r"(?:\^|~|>=)\s*(\d[\w.]*)", said)), None)
            yield Pin(package=canonical(name), version=version, least=lower)


def _of_lock(text: str) -> Iterator[Pin]:
    """poetry.lock, uv.lock, pdm.lock: what comes from an index."""
    rows = read_toml(text).get("package", [])
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict):
            continue
        name, version, source = row.get("name"), row.get("version"), _table(row, "source")
        indexed = "registry" in source or source.get("type") == "legacy" or not source
        if isinstance(name, str) and isinstance(version, str) and indexed and not row.keys() & {"path", "git", "url"}:
            yield Pin(package=canonical(name), version=version, least=version, locked=True)


def _of_pipfile_lock(text: str) -> Iterator[Pin]:
    told = read_json(text)
    for section in ("default", "develop"):
        for name, row in _table(told, section).items():
            said = row.get("version") if isinstance(row, dict) else None
            if isinstance(said, str) and said.startswith("=="):
                version = said.lstrip("=").strip()
                yield Pin(package=canonical(name), version=version, least=version, locked=True)


def _table(parent: object, name: str) -> Mapping[str, Any]:
    found = parent.get(name) if isinstance(parent, Mapping) else None
    return found if isinstance(found, Mapping) else {}


READERS: Mapping[str, Callable[[str], Iterator[Pin]]] = {
    "pyproject.toml": _of_pyproject,
    "poetry.lock": _of_lock,
    "uv.lock": _of_lock,
    "pdm.lock": _of_lock,
    "Pipfile.lock": _of_pipfile_lock,
}
