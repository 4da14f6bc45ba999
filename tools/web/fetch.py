"""HTTP GET to an address that the policy has checked, with limits on time and size. Redirects are checked likewise.

The connection goes to the very IP address that was checked, so DNS rebinding has no effect. Requests share no state
and read nothing from the environment: no cookies, no proxy, no ``.netrc``.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger.errors import PolicyRefused, ToolError
from ledger.vocabulary import Decision, Verdict
from tools.web.body import Body, kind_of
from tools.web.hosts import is_public
from tools.web.settings import WebSettings
from tools.web.target import WebTarget, target_of

if TYPE_CHECKING:
    import httpx

Reachable = Callable[[str, bool], Verdict]
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MOST_LOOK_UPS = 16
_LOOKING = threading.BoundedSemaphore(MOST_LOOK_UPS)
REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "Ouroboros (repository maintenance; reads only)"
ACCEPT = "text/html, text/plain, application/json, application/xml;q=0.9, */*;q=0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A response. ``cut``: the page is longer than ``data``."""

    target: WebTarget
    kind: str
    charset: str
    data: bytes
    cut: bool


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of a host name, by this machine's resolver. Raises ``OSError``, ``UnicodeError``.

    In a thread of its own: a name server that never answers holds it for as long as the resolver waits, and neither
    other work nor the daemon's end waits with it.
    """
    if not _LOOKING.acquire(blocking=False):
        raise OSError(errno.EAGAIN, f"{MOST_LOOK_UPS} other names are being looked up")
    answer: Future[tuple[str, ...]] = Future()
    answer.set_running_or_notify_cancel()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(tuple(dict.fromkeys(str(row[4][0]) for row in found)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(error)
        finally:
            _LOOKING.release()

    try:
        threading.Thread(target=ask, name="look up a name", daemon=True).start()
    except RuntimeError as error:  # no thread is left
        _LOOKING.release()
        raise OSError(errno.EAGAIN, str(error)) from error
    return await asyncio.wrap_future(answer)


class Fetcher:
    """``resolve`` and ``trust`` (certificates) default to those of this machine; tests replace them."""

    def __init__(
        self, *, settings: WebSettings, resolve: Resolve = look_up, trust: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._resolve = resolve
        self._trust = trust

    async def get(self, target: WebTarget, reachable: Reachable) -> Fetched:
        """Fetch a page, following redirects. Raises ``PolicyRefused`` for a refused host, else ``ToolError``."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                for _ in range(self._settings.redirects + 1):
                    got = await self._hop(target, reachable)
                    if isinstance(got, Fetched):
                        return got
                    target = got
        except TimeoutError as error:
            raise ToolError(f"{target.netloc} took longer than {self._settings.timeout_s:g} s.") from error
        raise ToolError(f"The address redirects more than {self._settings.redirects} times, at last to {target.url}.")

    async def _hop(self, target: WebTarget, reachable: Reachable) -> Fetched | WebTarget:
        import httpx

        _allowed(target, reachable, private=False)
        problem = ""
        for url in await self._ways(target, reachable):
            try:
                return await self._ask(target, url)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # the next address may answer
                problem = str(error)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # it reads where a redirect leads, too
                raise ToolError(f"{target.netloc} broke off: {type(error).__name__}: {error}.") from error
        raise ToolError(f"{target.netloc} cannot be reached: {problem or 'it has no address'}.")

    async def _ways(self, target: WebTarget, reachable: Reachable) -> Sequence[str]:
        """URLs to try: one for each checked address, or the host name itself where a proxy resolves it."""
        if self._settings.proxy:
            return (target.url,)
        try:
            addresses = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise ToolError(f"The name {target.host} cannot be looked up: {error}.") from error
        if not all(is_public(address) for address in addresses):
            _allowed(target, reachable, private=True)
        return [target.at(address) for address in addresses]

    async def _ask(self, target: WebTarget, url: str) -> Fetched | WebTarget:
        """One request, with a client of its own; a redirect gives the next target."""
        import httpx

        headers = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip",
            "Connection": "close",
        }
        client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=None,
            proxy=self._settings.proxy or None,
            verify=await self._context(target),
        )
        async with (
            client,
            client.stream("GET", url, headers=headers, extensions={"sni_hostname": target.host}) as response,
        ):
            location = response.headers.get("location", "")
            if response.status_code in REDIRECTS and location:
                return target_of(location, base=target)
            if response.status_code != 200:
                raise ToolError(f"{target.netloc} answered {response.status_code} {response.reason_phrase[:80]}.")
            return await self._read(target, response)

    async def _read(self, target: WebTarget, response: httpx.Response) -> Fetched:
        kind, charset = kind_of(response.headers.get("content-type", ""))
        encoding = response.headers.get("content-encoding", "").strip().lower()
        body = Body(encoding=encoding, limit=self._settings.max_bytes)
        async for chunk in response.aiter_raw():
            if not body.take(chunk):
                break
        return Fetched(target=target, kind=kind, charset=charset, data=body.data, cut=body.cut)

    async def _context(self, target: WebTarget) -> ssl.SSLContext:
        """The TLS context with the trusted certificates; created once, because that reads a large file."""
        if target.scheme == "http":
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used, and cheap
        if self._trust is None:
            import httpx

            self._trust = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        return self._trust


def _allowed(target: WebTarget, reachable: Reachable, *, private: bool) -> None:
    verdict = reachable(target.netloc, private)
    if verdict.decision is not Decision.ALLOW:
        raise PolicyRefused(verdict.reason, rule=verdict.rule)
