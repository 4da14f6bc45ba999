"""web_fetch and web_search: HTTP GET from hosts that the owner has listed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

from pydantic import Field

from ledger.errors import ToolError
from ledger.parsers.json import read_json
from tools.manifest import Arguments, Call, Tool
from tools.web.body import readable
from tools.web.fetch import Fetched, Fetcher
from tools.web.target import LONGEST, WebTarget, target_of

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts


SHOWN_CHARS = 3_600  # leaves room for the heading in a result of ordinary size
SNIPPET_CHARS = 300


class WebFetchArguments(Arguments):
    """Arguments of web_fetch."""

    url: str = Field(min_length=1, max_length=LONGEST, description="http or https address")
    start: int = Field(0, ge=0, description="first character of the text to show; for the rest of a long page")


class WebFetch(Tool[WebFetchArguments]):
    """The text of a page, in parts."""

    name = "web_fetch"
    description = "Read a page as plain text (HTML, JSON, XML or text), from the machines that the owner has listed."
    model = WebFetchArguments

    def __init__(self, *, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    @classmethod
    def build(cls, parts: ToolParts) -> Self | None:
        return None if parts.web is None else cls(fetcher=Fetcher(settings=parts.web))

    def paths(self, arguments: WebFetchArguments) -> tuple[str, ...]:
        return ()

    def hosts(self, arguments: WebFetchArguments) -> tuple[str, ...]:
        return (target_of(arguments.url).netloc,)

    async def run(self, arguments: WebFetchArguments, call: Call) -> str:
        page = await self._fetcher.get(target_of(arguments.url), call.judge_host)
        text = await asyncio.to_thread(readable, page.data, page.kind, page.charset)
        shown = text[arguments.start : arguments.start + SHOWN_CHARS]
        end = arguments.start + len(shown)
        rest = f"; the rest: web_fetch with start={end}" if end < len(text) else ""
        cut = ", only its beginning" if page.cut else ""
        head = f"{page.target.url}\n{page.kind} · {len(page.data)} bytes{cut}"
        return f"{head} · characters {arguments.start}-{end} of {len(text)}{rest}\n\n{shown}"


class WebSearchArguments(Arguments):
    """Arguments of web_search."""

    query: str = Field(min_length=1, max_length=300, description="what to look for")


class WebSearch(Tool[WebSearchArguments]):
    """Titles, addresses and snippets from the owner's search endpoint."""

    name = "web_search"
    description = "Search the web: titles, addresses and snippets. Only listed machines can be fetched from."
    model = WebSearchArguments

    def __init__(self, *, fetcher: Fetcher, endpoint: str, results: int) -> None:
        self._fetcher = fetcher
        self._endpoint = endpoint
        self._results = results

    @classmethod
    def build(cls, parts: ToolParts) -> Self | None:
        web = parts.web
        if web is None or not web.search_url:
            return None
        return cls(fetcher=Fetcher(settings=web), endpoint=web.search_url, results=web.search_results)

    def paths(self, arguments: WebSearchArguments) -> tuple[str, ...]:
        return ()

    def hosts(self, arguments: WebSearchArguments) -> tuple[str, ...]:
        return (self._target(arguments).netloc,)

    def _target(self, arguments: WebSearchArguments) -> WebTarget:
        joint = "&" if "?" in self._endpoint else "?"
        return target_of(f"{self._endpoint}{joint}{urlencode({'q': arguments.query, 'format': 'json'})}")

    async def run(self, arguments: WebSearchArguments, call: Call) -> str:
        page = await self._fetcher.get(self._target(arguments), call.judge_host)
        rows = await asyncio.to_thread(read_results, page)
        blocks = [_block(number, row) for number, row in enumerate(rows[: self._results], 1)]
        return "\n".join(blocks) or "Nothing was found."


def read_results(page: Fetched) -> list[dict[str, Any]]:
    """The results of a SearXNG response. Raises ``ToolError`` for anything else."""
    try:
        answer = read_json(page.data.decode("utf-8", errors="replace"))
    except ValueError as error:
        raise ToolError("The search endpoint did not answer in JSON.") from error
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ToolError("The search endpoint's answer has no results.")
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("url"), str)]


def _block(number: int, row: dict[str, Any]) -> str:
    title, snippet = (" ".join(str(row.get(key) or "").split()) for key in ("title", "content"))
    return f"{number}. {title[:200]}\n   {row['url'][:500]}\n   {snippet[:SNIPPET_CHARS]}".rstrip()
