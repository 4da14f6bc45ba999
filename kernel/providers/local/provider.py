"""The local model: loaded at first use, computed in one worker thread, unloaded when idle.

torch is imported in the worker thread only, and only when a model is needed. Cancelling an awaiting task sets a token
that the thread checks between two matrix products; the call returns when the thread has stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kernel.canary import load_levels
from kernel.cancel import Cancelled, CancelToken
from kernel.engine.decoding.answer import stable_prefix
from kernel.engine.settings import LocalSettings
from kernel.policy import InfillFamily, load_policy
from kernel.provider import (
    Capabilities,
    DivergeRequest,
    Done,
    Event,
    Health,
    InfillAnswer,
    InfillRequest,
    Limits,
    Message,
    Provider,
    TextDelta,
    ToolSchema,
    Usage,
    WeighAnswer,
    WeighRequest,
)
from kernel.providers.local import INSTALL, SPEC
from kernel.spec import DeclaredProvider, ProviderParts
from kernel.tokens import CHARS_PER_TOKEN
from kernel.weights import own, store
from kernel.weights.registry import Weights, load_registry
from ledger.errors import ProviderBadOutput, ProviderUnavailable

if TYPE_CHECKING:
    from kernel.engine.decoding.answer import GeneratedAnswer
    from kernel.engine.engine import Engine
    from kernel.engine.requests import RequestHandler

PREPARE_S = 600.0
NAME = SPEC.name
T = TypeVar("T")
Work = Callable[["RequestHandler", CancelToken], T]


class LocalProvider(DeclaredProvider[LocalSettings]):
    """A model of ``policy.toml`` by name, or the owner's own weights by path."""

    spec = SPEC

    def __init__(
        self, *, model: str, settings: LocalSettings, models_dir: Path, weights: Weights | None = None
    ) -> None:
        """``weights`` replaces the registry's entry of the model. Raises ``ConfigError`` for an unknown one."""
        super().__init__(settings=settings)
        policy = load_policy()
        self._models_dir = models_dir
        if own.is_path(model):
            self._name, self._weights = own.describe_weights(model)
            self._family = policy.family_of_path(model, settings.family)
            self._room = settings.context or 1 << 30
        else:
            entry = policy.model(model)
            self._name, self._weights = model, weights or load_registry().find(entry.weights)
            self._family = policy.families.get(entry.family)
            self._room = min(entry.context, settings.context or entry.context)
        self._levels = load_levels(self._name)
        self._worker: ThreadPoolExecutor | None = None
        self._engine: Engine | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._running: CancelToken | None = None
        self._closed = False
        self._status = "loaded at first use"
        self._turn = asyncio.Lock()

    @classmethod
    def build(cls, settings: LocalSettings, parts: ProviderParts) -> Provider:
        return cls(model=parts.model, settings=settings, models_dir=parts.models_dir)

    @property
    def model(self) -> str:
        return f"{self._name}@{store.short_sum(self._models_dir, self._weights)}"

    @property
    def capabilities(self) -> Capabilities:
        return super().capabilities.limited(infill=self._family is not None)

    @property
    def loaded(self) -> bool:
        """True while the model is in memory."""
        return self._engine is not None

    @property
    def left_behind(self) -> bool:
        """True after the model was unloaded: numeric libraries return their memory only at the end of the process."""
        return self._worker is not None and self._engine is None and not self._turn.locked()

    async def health(self) -> Health:
        """Checks libraries, and names and sizes of files only."""
        try:
            check_libraries()
            self._check_weights()
        except ProviderUnavailable as error:
            return Health(ready=False, detail=str(error))
        return Health(ready=True, detail=self._engine.why if self._engine else self._status)

    def count_tokens(self, text: str) -> int:
        """Exact when the model is loaded, an estimate before."""
        if self._engine is not None:
            return len(self._engine.vocabulary.encode(text))
        return round(len(text) / CHARS_PER_TOKEN)

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        """Fills all spans as one batch; the common prefix of their prompts is computed once."""
        if request.temperature <= 0 and request.samples > 1:
            raise ProviderBadOutput("Greedy answers are all the same: ask for one sample.", provider=NAME)
        family = self._require_family()
        if not request.spans:
            return InfillAnswer(infills=(), usage=Usage())
        return await self._run(lambda requests, cancel: requests.fill(family, request, cancel), request.timeout_s)

    async def prepare(self) -> None:
        """Loads the model when it is not in memory."""
        await self._run(lambda requests, cancel: None, PREPARE_S)

    async def diverge(self, request: DivergeRequest) -> InfillAnswer:
        """Alternatives to the current texts of the holes, as one batch."""
        family = self._require_family()
        if not request.spans:
            return InfillAnswer(infills=(), usage=Usage())

        return await self._run(lambda requests, cancel: requests.diverge(family, request, cancel), request.timeout_s)

    async def weigh(self, request: WeighRequest) -> WeighAnswer:
        """Log-probabilities of texts in holes, as one batch."""
        family = self._require_family()
        if not request.spans:
            return WeighAnswer(logprobs_milli=(), usage=Usage())

        return await self._run(lambda requests, cancel: requests.weigh(family, request, cancel), request.timeout_s)

    def _require_family(self) -> InfillFamily:
        """Raises ``ProviderBadOutput`` when the model cannot fill holes."""
        if self._family is None:
            raise ProviderBadOutput(
                f"{self._name} was not trained to fill holes.",
                provider=NAME,
                remedy="For your own weights, set kernel.local.family to their infill format.",
            )
        return self._family

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        """One answer, streamed. Tools are not offered to this model."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()  # None: end of the answer
        shown = 0

        def on_token(generated: GeneratedAnswer) -> None:
            nonlocal shown
            answer = generated.answer
            text = answer.text if answer.finish else stable_prefix(answer.text, limits.stop)
            if len(text) > shown:
                loop.call_soon_threadsafe(queue.put_nowait, text[shown:])
                shown = len(text)

        def work(requests: RequestHandler, cancel: CancelToken) -> tuple[GeneratedAnswer, int]:
            return requests.reply(conversation, limits, on_token, cancel)

        task = asyncio.create_task(self._run(work, limits.timeout_s), name="local model")
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (piece := await queue.get()) is not None:
                yield TextDelta(text=piece)
            generated, tokens_in = task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
        usage = Usage(tokens_in=tokens_in, tokens_out=generated.answer.tokens)
        finish = "stop" if generated.answer.finish == "stop" else "length"
        yield Done.model_validate({"finish": finish, "usage": usage, "report": generated.report()})

    async def aclose(self) -> None:
        """Stops the running call, drops the model and ends the thread."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
        async with self._turn:
            self._stop_idle()
            worker, self._worker, self._engine = self._worker, None, None
            if worker is not None:
                await asyncio.to_thread(worker.shutdown, wait=True)

    def _check_weights(self) -> None:
        """Raises ``ProviderUnavailable`` when the weights are missing, before anything is imported."""
        there = store.is_published(self._models_dir, self._weights)
        if not there and not store.converted_folders(self._models_dir, self._name, self._weights):
            raise ProviderUnavailable(
                f"The weights of {self._name} are not on this machine.",
                provider=NAME,
                kind="weights",
                remedy=f"Run `ouro model pull {self._name}`.",
            )

    async def _run(self, work: Work[T], timeout_s: float) -> T:
        """Runs ``work`` in the worker thread, one call at a time; loads the model first."""
        check_libraries()
        if self._engine is None:
            self._check_weights()
        async with self._turn:
            if self._closed:
                raise self._shutting_down()
            self._stop_idle()
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="local-model")
            cancel = self._running = CancelToken()
            future = asyncio.get_running_loop().run_in_executor(self._worker, self._work, work, cancel)
            try:
                return await self._until(future, cancel, timeout_s)
            finally:
                self._running = None
                self._start_idle()

    def _shutting_down(self) -> ProviderUnavailable:
        return ProviderUnavailable("The local model is being shut down.", provider=NAME)

    async def _until(self, future: asyncio.Future[T], cancel: CancelToken, timeout_s: float) -> T:
        """Awaits ``future`` under the deadline; on timeout or cancellation waits until the thread has stopped."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except Cancelled as error:
            raise self._shutting_down() from error
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"The model did not answer within {timeout_s:g} s.",
                provider=NAME,
                kind="total",
                remedy="A smaller model, or a longer clocks.turn_local_s.",
            ) from error
        finally:
            if not future.done():
                cancel.cancel()
                await asyncio.wait({future})
                future.exception()  # Cancelled is expected; retrieved so that asyncio does not log it

    def _work(self, work: Work[T], cancel: CancelToken) -> T:
        """Body of a call in the worker thread."""
        from kernel.engine.loading import WeightsLocation, load_engine
        from kernel.engine.requests import RequestHandler

        try:
            if self._engine is None:
                source = WeightsLocation(self._name, self._weights, self._models_dir)
                self._engine = load_engine(source, self._settings, self._set_status, cancel)
            room = min(self._room, self._engine.model.config.context)
            return work(RequestHandler(self._engine, self._settings, self._levels, room), cancel)
        except MemoryError as error:
            raise self._out_of_memory() from error
        except RuntimeError as error:  # torch raises no specific class for this on the CPU
            if "not enough memory" in str(error) or "can't allocate memory" in str(error):
                raise self._out_of_memory() from error
            raise

    def _set_status(self, what: str) -> None:
        """Status of a model that is not loaded yet; called in the worker thread."""
        self._status = what

    def _out_of_memory(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            "The model ran out of memory.",
            provider=NAME,
            kind="memory",
            remedy="Lower kernel.local.cache_tokens, or choose a smaller model.",
        )

    def _start_idle(self) -> None:
        if self._engine is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._settings.idle_unload_s, self._unload)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _unload(self) -> None:
        """Drops the weights, which are mapped from the file, and with them their pages."""
        if not self._turn.locked():
            self._engine = None


def check_libraries() -> None:
    """Raises ``ProviderUnavailable`` (kind ``weights``) when the libraries of the kernel are not installed."""
    from importlib.util import find_spec

    missing = [
        name for name in ("torch", "tokenizers", "safetensors", "gguf", "jinja2", "numba") if not find_spec(name)
    ]
    if missing:
        raise ProviderUnavailable(
            f"The local model needs {', '.join(missing)}, which this environment does not have.",
            provider=NAME,
            kind="weights",
            remedy=f"In the clone of Ouroboros: `{INSTALL}`.",
        )
