"""The provider for chat-completions servers.

Every call has its own HTTP client, closed with the call, so that a cancelled call closes its socket and cannot affect
the next one. The API key is requested at each call, stored in no attribute, and removed from every text of the server
or a library.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from kernel.canary import CollapseDetected
from kernel.canary.reading import QUIET
from kernel.canary.text import read_turn, report_of
from kernel.provider import (
    CallDelta,
    Capabilities,
    Done,
    Event,
    Health,
    Limits,
    Message,
    Provider,
    Spent,
    TextDelta,
    ToolSchema,
)
from kernel.providers.exchange import Deadlines, HttpExchange
from kernel.providers.openai import SPEC, OpenAISettings, wire
from kernel.providers.openai.stream import SseParser, StreamAssembler
from kernel.providers.reprompt import RepromptProvider
from kernel.spec import DeclaredProvider, ProviderParts
from kernel.tokens import prompt_characters
from ledger.clock import Clock, SystemClock
from ledger.errors import ConfigError, PolicyRefused, ProviderBadOutput, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    import httpx

_DONE: Final = "[DONE]"
_KEY_MARK: Final = "[API key]"


class OpenAIProvider(DeclaredProvider[OpenAISettings]):
    """Raises ``ConfigError`` for an invalid address and ``PolicyRefused`` for a remote one when the network is
    sealed.
    """

    spec = SPEC

    def __init__(
        self,
        *,
        settings: OpenAISettings,
        api_key: Callable[[str], str | None],
        allow_network: bool = True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(settings=settings)
        self._api_key = api_key
        self._clock = clock or SystemClock()
        self._base = _check_url(settings.base_url, allow_network=allow_network)
        self._tls: ssl.SSLContext | None = None

    @classmethod
    def build(cls, settings: OpenAISettings, parts: ProviderParts) -> Provider:
        """The provider, in the re-prompt loop when the settings switch it on."""
        server = cls(settings=settings, api_key=parts.api_key, allow_network=parts.allow_network)
        if settings.reprompt == "off":
            return server
        return RepromptProvider(server, passes=settings.reprompt_passes, watch=settings.canary != "off")

    @property
    def model(self) -> str:
        return self._settings.model

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities.limited(tools=self._settings.tools, logprobs=self._settings.logprobs)

    async def health(self) -> Health:
        """Requests the list of models. Never raises a ``ProviderError``."""
        s = self._settings
        deadlines = Deadlines(connect_s=s.health_s, first_byte_s=s.health_s, idle_s=s.health_s, total_s=s.health_s)
        try:
            async with self._exchange(deadlines) as exchange:
                response = await exchange.open("GET", f"{self._base}/models")
                if not response.is_success:
                    raise await self._refusal(exchange, response)
        except ProviderError as error:
            return Health(ready=False, detail=str(error))
        if not self.model:
            unnamed = "kernel.openai.model is not set: only a server with one model answers without a name."
            return Health(ready=True, detail=f"{self._base} answers; {unnamed}")
        if self.price is None:
            return Health(
                ready=True,
                detail=f"{self._base} answers, but every call is denied until kernel.openai.price_input_usd_micro "
                "and price_output_usd_micro are set (0 when it is free).",
            )
        return Health(ready=True, detail=f"{self._base} answers.")

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncGenerator[Event, None]:
        """One turn. Closing the iterator (or cancelling) closes the socket, which stops the server.

        Raises ``CollapseDetected`` after the last text when the answer has collapsed and ``canary`` is ``stop``.
        """
        s = self._settings
        deadlines = Deadlines(
            connect_s=s.connect_s,
            first_byte_s=s.first_byte_s,
            idle_s=s.idle_s,
            total_s=min(s.total_s, limits.timeout_s),
        )
        body = wire.request_body(s.model, conversation, tools, limits, logprobs=s.logprobs)
        async with self._exchange(deadlines) as exchange:
            response = await exchange.open("POST", f"{self._base}/chat/completions", body)
            if response.status_code != 200:
                raise await self._refusal(exchange, response)
            answer = StreamAssembler(where=self._base, clean=self._clean)
            async with aclosing(self._events(exchange, response, answer)) as events:
                async for data in events:
                    if text := answer.add(data):
                        yield TextDelta(text=text)
        finish = answer.finish(self._clean(response.headers.get("content-type", "")))
        usage = answer.usage(prompt_characters(conversation, tools))
        calls = answer.calls()
        reading = QUIET if s.canary == "off" else await read_turn(answer.text, calls, answer.logprobs)
        if reading.alarm and s.canary == "stop":
            yield Spent(usage=usage)
            raise CollapseDetected(reading.proximity, reading.signal, usage.tokens_out, provider=self.name)
        for call in calls:
            yield CallDelta(call=call)
        yield Done(finish=finish, usage=usage, report=report_of(reading))

    async def _events(
        self, exchange: HttpExchange, response: httpx.Response, answer: StreamAssembler
    ) -> AsyncGenerator[str, None]:
        """The data of each event, up to ``[DONE]`` or the end of the body."""
        parser = SseParser()
        try:
            async with aclosing(exchange.pieces(response)) as pieces:
                async for piece in pieces:
                    for data in parser.feed(piece):
                        if data.strip() == _DONE:
                            return
                        yield data
                for data in parser.close():
                    if data.strip() != _DONE:
                        yield data
        except UnicodeDecodeError:
            raise ProviderBadOutput(
                f"{self._base}: the answer is unusable: it is not UTF-8.", provider=self.name
            ) from None
        except ProviderUnavailable:
            # After the finish reason only the usage is missing: the answer is complete without it.
            if not answer.complete:
                raise

    async def _refusal(self, exchange: HttpExchange, response: httpx.Response) -> ProviderError:
        """The error for an unsuccessful status, with the server's message as far as it arrived."""
        body = bytearray()
        try:
            async with aclosing(exchange.pieces(response)) as pieces:
                async for piece in pieces:
                    body += piece
        except ProviderError:
            pass  # the status is sufficient
        return wire.error_for_status(
            response.status_code,
            wire.error_message(body.decode("utf-8", "replace")),
            where=self._base,
            clean=self._clean,
            retry_s=wire.retry_after_s(response.headers.get("retry-after"), self._clock.now()),
            key_name=self._settings.key_variable,
            unnamed=not self.model,
        )

    @asynccontextmanager
    async def _exchange(self, deadlines: Deadlines) -> AsyncIterator[HttpExchange]:
        if self._tls is None:
            # Importing httpx and reading the certificates would block the event loop noticeably.
            self._tls = await asyncio.to_thread(_tls_context, self._base.startswith("https:"))
        exchange = HttpExchange(
            client=self._client(self._tls),
            deadlines=deadlines,
            max_bytes=self._settings.max_answer_bytes,
            provider=self.name,
            where=self._base,
            clean=self._clean,
        )
        try:
            yield exchange
        finally:
            await exchange.aclose()

    def _client(self, tls: ssl.SSLContext) -> httpx.AsyncClient:
        import httpx

        headers = {
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "ouroboros",
        }
        if key := self._key():
            headers["Authorization"] = f"Bearer {key}"
        # trust_env=False: no proxy, .netrc or certificate of the environment may redirect the key.
        return httpx.AsyncClient(verify=tls, headers=headers, timeout=None, trust_env=False, follow_redirects=False)

    def _key(self) -> str:
        variable = self._settings.key_variable if self._settings.may_send_key else ""
        key = (self._api_key(variable) or "").strip() if variable else ""
        # Checked here, because the library would quote the whole header in its error.
        if any(not "!" <= character <= "~" for character in key):
            raise ProviderUnavailable(
                f"The API key in {variable} contains a space or a character that is invalid in a header.",
                provider=self.name,
                remedy=f"Set {variable} to the key alone.",
            )
        return key

    def _clean(self, text: str) -> str:
        key = self._key()
        return wire.one_line(text.replace(key, _KEY_MARK) if key else text)


def _tls_context(encrypted: bool) -> ssl.SSLContext:
    import httpx

    if encrypted:
        return httpx.create_ssl_context(trust_env=False)
    # Never used, since redirects are not followed; it trusts no certificate.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _check_url(text: str, *, allow_network: bool) -> str:
    """``text`` without a closing slash. Never quoted in an error: it may hold a password."""
    remedy = "Write kernel.openai.base_url like http://127.0.0.1:8080/v1."
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigError("kernel.openai.base_url is not a URL.", remedy=remedy) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ConfigError("kernel.openai.base_url is not an http or https URL.", remedy=remedy)
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError("kernel.openai.base_url holds a user name, a query or a fragment.", remedy=remedy)
    if not allow_network and not _is_loopback(parts.hostname):
        raise PolicyRefused(
            f"The network is sealed, and {parts.hostname} is another machine.",
            rule="network",
            remedy="Allow the network, or name a server on this machine.",
        )
    return text.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
