"""Where advisories come from: a folder of OSV files, and the OSV API. What comes is bounded, checked, and data."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.errors import AdvisoriesUnavailable
from ledger.parsers.json import read_json
from sensors.advisories import AdvisorySettings
from sensors.advisories.matching import ECOSYSTEM, Advisory, AdvisoryId
from sensors.advisories.pins import canonical

if TYPE_CHECKING:
    import httpx

T = TypeVar("T", bound=BaseModel)
A_QUERY = 1_000  # packages that the API takes at once
MOST_PAGES = 20
A_PAGE = 3_000  # advisories that the API names in one answer
MOST_PLACES = 200_000  # versions that the advisories of one look name together
MOST_FILES = 1_000_000  # of a folder; all of OSV's for Python are some 20,000


class AdvisoriesFound(NamedTuple):
    """``note``: what could not be read although the source answered."""

    advisories: tuple[Advisory, ...]
    note: str = ""


class AdvisorySource(Protocol):
    async def about(self, pinned: Collection[tuple[str, str]]) -> AdvisoriesFound:
        """Advisories of these packages (canonical name, version), perhaps of other versions too.

        Raises ``AdvisoriesUnavailable``.
        """
        ...


class Folder:
    """A folder of OSV files, below it too."""

    def __init__(self, settings: AdvisorySettings) -> None:
        self._settings = settings

    async def about(self, pinned: Collection[tuple[str, str]]) -> AdvisoriesFound:
        return await asyncio.to_thread(self._read, frozenset(package for package, _ in pinned))

    def _read(self, packages: frozenset[str]) -> AdvisoriesFound:
        folder = Path(self._settings.folder)
        if not folder.is_dir():
            raise AdvisoriesUnavailable(
                f"{folder} is no folder that can be read.", remedy="sensors.web_intelligence.folder names it."
            )
        found, wrong = list[Advisory](), list[str]()
        for path in islice(folder.rglob("*.json"), MOST_FILES):
            try:
                told = self._one(path)
                if told is not None and any(package in packages for package in _named_in(told)):
                    found.append(Advisory.model_validate(told))
            except (OSError, ValueError, RecursionError):
                wrong.append(path.name)
        note = f"{len(wrong)} advisories of {folder} cannot be read, {wrong[0]} for one" if wrong else ""
        return AdvisoriesFound(advisories=tuple(found), note=note)

    def _one(self, path: Path) -> object:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(self._settings.advisory_bytes + 1)
        if len(data) > self._settings.advisory_bytes:
            raise ValueError("too large")
        return read_json(data)


def _named_in(told: object) -> Iterator[str]:
    """The packages that an advisory speaks of, before the rest of it is looked at."""
    affected = told.get("affected", ()) if isinstance(told, dict) else None
    if not isinstance(affected, list | tuple):
        raise ValueError("no advisory")
    for one in affected:
        package = one.get("package") if isinstance(one, dict) else None
        if isinstance(package, dict) and str(package.get("ecosystem")).partition(":")[0] == ECOSYSTEM:
            yield canonical(str(package.get("name")))


# --- the API: https://google.github.io/osv.dev/api/ ---


class _OsvAnswer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class _Named(_OsvAnswer):
    id: AdvisoryId
    modified: str = Field("", max_length=200)


class _Result(_OsvAnswer):
    vulns: Annotated[tuple[_Named, ...], Field(max_length=A_PAGE, fail_fast=True)] = ()
    next_page_token: str | None = Field(None, max_length=10_000)


class _Results(_OsvAnswer):
    results: Annotated[tuple[_Result, ...], Field(max_length=A_QUERY, fail_fast=True)]


class OsvApi:
    """Asks which advisories concern what is pinned, then for those that it has not read before."""

    def __init__(self, settings: AdvisorySettings) -> None:
        self._settings = settings
        self._read: dict[str, Advisory] = {}

    async def about(self, pinned: Collection[tuple[str, str]]) -> AdvisoriesFound:
        import httpx

        trust = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)  # that reads a large file
        client = httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=None, proxy=self._settings.proxy or None, verify=trust
        )
        try:
            async with asyncio.timeout(self._settings.timeout_s), client:
                return await self._ask(client, sorted(pinned))
        except TimeoutError as error:
            raise self._no(f"took longer than {self._settings.timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._no(f"cannot be asked: {type(error).__name__}: {error}") from error

    async def _ask(self, client: httpx.AsyncClient, pinned: Sequence[tuple[str, str]]) -> AdvisoriesFound:
        named: dict[str, str] = {}
        for at in range(0, len(pinned), A_QUERY):
            for one in await self._batch(client, pinned[at : at + A_QUERY]):
                named[one.id] = one.modified
        kept, places = sorted(named)[: self._settings.most_advisories], 0
        for name in kept:
            known = self._read.get(name)
            if known is None or known.modified != named[name]:
                self._read[name] = await self._advisory(client, name)  # kept even where the time is up at the next one
            places += self._read[name].places
            if places > MOST_PLACES:
                kept = kept[: kept.index(name)]
                break
        self._read = fresh = {name: self._read[name] for name in kept}
        beyond = len(named) - len(kept)
        return AdvisoriesFound(
            advisories=tuple(fresh.values()), note=f"{beyond} advisories are too many" if beyond else ""
        )

    async def _batch(self, client: httpx.AsyncClient, pinned: Sequence[tuple[str, str]]) -> list[_Named]:
        """The names of the advisories, page after page; a page is requested while there is one more."""
        queries: list[dict[str, object]] = [
            {"package": {"name": package, "ecosystem": ECOSYSTEM}, "version": version} for package, version in pinned
        ]
        found: list[_Named] = []
        for _ in range(MOST_PAGES):
            data = await self._send(client, "POST", "/v1/querybatch", {"queries": queries})
            results = await self._shape(_Results, data)
            if len(results.results) != len(queries):
                raise self._no(f"answered {len(queries)} questions with {len(results.results)} results")
            found += [one for result in results.results for one in result.vulns]
            pairs = zip(queries, results.results, strict=True)
            queries = [{**q, "page_token": r.next_page_token} for q, r in pairs if r.next_page_token]
            if not queries:
                return found
        raise self._no(f"has more than {MOST_PAGES} pages")

    async def _advisory(self, client: httpx.AsyncClient, name: str) -> Advisory:
        return await self._shape(Advisory, await self._send(client, "GET", f"/v1/vulns/{quote(name, safe='')}", None))

    async def _shape(self, shape: type[T], data: bytes) -> T:
        try:
            return await asyncio.to_thread(shape.model_validate_json, data)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "JSON"
            raise self._no(f"answered something that is not in the form of OSV: {where}: {first['msg']}") from error

    async def _send(self, client: httpx.AsyncClient, method: str, path: str, body: object) -> bytes:
        """The body of the answer, as long as it may be at most. Packed ones, which were not requested, are refused."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        most = self._settings.answer_bytes if body is not None else self._settings.advisory_bytes
        data = bytearray()
        async with client.stream(method, self._settings.api + path, json=body, headers=headers) as answer:
            if answer.status_code != 200:
                raise self._no(f"answered {answer.status_code} to {path}")
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise self._no("packs its answers, which nobody asked for")
            async for piece in answer.aiter_raw():
                data += piece
                if len(data) > most:
                    raise self._no(f"answered more than {most} bytes to {path}")
        return bytes(data)

    def _no(self, what: str) -> AdvisoriesUnavailable:
        return AdvisoriesUnavailable(
            f"{self._settings.api} {what}.", remedy="The next look, or a changed pin, asks again."
        )


def sources_of(settings: AdvisorySettings) -> tuple[AdvisorySource, ...]:
    """Those that the owner has named."""
    found: list[AdvisorySource] = []
    if settings.folder:
        found.append(Folder(settings))
    if settings.api:
        found.append(OsvApi(settings))
    return tuple(found)
