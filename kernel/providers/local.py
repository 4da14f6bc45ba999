"""The model in this process: loaded at first use, computed in one worker thread, dropped when it is idle.

torch is imported in the worker thread only, and only when a model is needed. Cancelling an awaiting task sets a token
that the thread asks between two matrix products; the call returns when the thread has really stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kernel.cancel import Cancelled, CancelToken
from kernel.local.loader import form_of, layer_shape, need_torch, read_config
from kernel.local.memory import available_mb, shortage
from kernel.local.packing import share
from kernel.local.precision import Precision, pick, run_trials
from kernel.local.prompt import chat_prompt, infill_prompt
from kernel.local.sampling import Sampling
from kernel.local.settings import LocalSettings
from kernel.local.stops import Answer, settled
from kernel.policy import load_policy
from kernel.provider import (
    Capabilities,
    Done,
    Event,
    Health,
    Infill,
    InfillAnswer,
    InfillRequest,
    Limits,
    Message,
    Price,
    TextDelta,
    ToolSchema,
    Usage,
)
from kernel.threads import thread_count
from kernel.weights import store
from kernel.weights.convert import convert
from kernel.weights.registry import Weights, load_registry
from ledger.errors import OuroError, ProviderBadOutput, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    from kernel.local.engine import Engine

NAME = "local"
CHARS_PER_TOKEN = 3.6
MEGABYTE = 1 << 20
T = TypeVar("T")


class LocalProvider:
    """One of the models of ``policy.toml``, by name."""

    def __init__(
        self, *, model: str, settings: LocalSettings, models_dir: Path, weights: Weights | None = None
    ) -> None:
        """``weights`` replaces those that the registry has for the model."""
        policy = load_policy()
        self._entry = policy.model(model)
        self._family = policy.families[self._entry.family]
        self._price = policy.price(NAME, model)
        self._weights = weights or load_registry().find(self._entry.weights)
        self._name = model
        self._settings = settings
        self._models_dir = models_dir
        self._worker: ThreadPoolExecutor | None = None
        self._engine: Engine | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._running: CancelToken | None = None
        self._closed = False
        self._turn = asyncio.Lock()
        self.why = ""  # why this precision was chosen

    @property
    def name(self) -> str:
        return NAME

    @property
    def model(self) -> str:
        return f"{self._name}@{self._weights.sha256[:8]}"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(infill=True, logprobs=True, local=True)

    @property
    def price(self) -> Price | None:
        return self._price

    @property
    def loaded(self) -> bool:
        """True while the model is in memory."""
        return self._engine is not None

    async def health(self) -> Health:
        """Looks at names and sizes only."""
        try:
            need_torch()
            self._need_weights()
        except ProviderUnavailable as error:
            return Health(ready=False, detail=str(error))
        return Health(ready=True, detail=self.why or "on the CPU, loaded at first use")

    def count_tokens(self, text: str) -> int:
        """Exact when the model is loaded, an estimate before."""
        if self._engine is not None:
            return len(self._engine.vocabulary.encode(text))
        return round(len(text) / CHARS_PER_TOKEN)

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        """All spans as one batch; the common beginning of their prompts is computed once."""
        if request.temperature <= 0 and request.samples > 1:
            raise ProviderBadOutput("Greedy answers are all the same: ask for one sample.", provider=NAME)

        def work(engine: Engine, cancel: CancelToken) -> InfillAnswer:
            prompts, prefixes = [], []
            for span in request.spans:
                numbers, prefix = infill_prompt(engine.vocabulary, self._family, span)
                self._fits(len(numbers) + span.max_tokens)
                prompts.append(numbers)
                prefixes.append(prefix)
            trunk, rows = share(prompts, prefixes, [span.max_tokens for span in request.spans])
            found = engine.answer(
                trunk,
                rows,
                [span.stop for span in request.spans],
                samples=request.samples,
                sampling=Sampling(request.temperature, request.top_p, request.seed),
                bounds=self._bounds(),
                cancel=cancel,
            )
            found.sort(key=lambda f: (f.span, f.sample))
            infills = tuple(
                Infill(
                    span=f.span, text=f.answer.text, logprob_milli=f.answer.logprob_milli,
                    finish="stop" if f.answer.finish == "stop" else "length",
                )
                for f in found
            )  # fmt: skip
            usage = Usage(tokens_in=sum(map(len, prompts)), tokens_out=sum(f.answer.tokens for f in found))
            return InfillAnswer(infills=infills, usage=usage)

        if not request.spans:
            return InfillAnswer(infills=(), usage=Usage())
        return await self._run(work, request.timeout_s)

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        """One answer, streamed as it grows. Tools are not offered to this model."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | None] = asyncio.Queue()  # None: nothing more comes
        shown = 0

        def grown(answer: Answer) -> None:
            nonlocal shown
            text = answer.text if answer.finish else settled(answer.text, limits.stop)
            if len(text) > shown:
                loop.call_soon_threadsafe(queue.put_nowait, text[shown:])
                shown = len(text)

        def work(engine: Engine, cancel: CancelToken) -> tuple[Answer, int]:
            prompt = chat_prompt(engine.vocabulary, self._family, conversation)
            self._fits(len(prompt) + limits.max_tokens)
            trunk, rows = share([prompt], [0], [limits.max_tokens])
            sampling = Sampling(limits.temperature, limits.top_p, limits.seed or 0)
            found = engine.answer(
                trunk,
                rows,
                [limits.stop],
                samples=1,
                sampling=sampling,
                bounds=self._bounds(),
                cancel=cancel,
                grown=grown,
            )
            return found[0].answer, len(prompt)

        task = asyncio.create_task(self._run(work, limits.timeout_s), name="local model")
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (piece := await queue.get()) is not None:
                yield TextDelta(text=piece)
            answer, tokens_in = task.result()
        finally:
            task.cancel()
            await asyncio.wait({task})
        usage = Usage(tokens_in=tokens_in, tokens_out=answer.tokens)
        yield Done(finish="stop" if answer.finish == "stop" else "length", usage=usage)

    async def aclose(self) -> None:
        """Stop the running call, drop the model and end the thread."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
        async with self._turn:
            self._stop_idle()
            worker, self._worker, self._engine = self._worker, None, None
            if worker is not None:
                await asyncio.to_thread(worker.shutdown, wait=True)

    # --- inside ---

    def _bounds(self) -> Any:
        from kernel.local.engine import Bounds

        settings = self._settings
        return Bounds(prefill_tokens=settings.prefill_tokens, cache_tokens=settings.cache_tokens, rows=settings.rows)

    def _need_weights(self) -> None:
        """Before anything is imported or tried: without weights there is nothing to try."""
        forms: tuple[store.Form, ...] = ("bf16", "int8")
        folders = (store.converted_folder(self._models_dir, self._name, self._weights, form) for form in forms)
        if not store.is_published(self._models_dir, self._weights) and not any(map(store.is_converted, folders)):
            raise ProviderUnavailable(
                f"The weights of {self._name} are not on this machine.", provider=NAME, kind="weights",
                remedy=f"Run `ouro model pull {self._name}`.",
            )  # fmt: skip

    def _fits(self, tokens: int) -> None:
        if tokens > self._entry.context:
            raise ProviderBadOutput(
                f"The prompt and its answer need {tokens} tokens; {self._name} takes {self._entry.context}.",
                provider=NAME,
            )

    async def _run(self, work: Callable[[Engine, CancelToken], T], timeout_s: float) -> T:
        """``work`` in the worker thread, one at a time; loads the model first."""
        need_torch()
        if self._engine is None:
            self._need_weights()
        async with self._turn:
            if self._closed:
                raise self._ended()
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

    def _ended(self) -> ProviderUnavailable:
        return ProviderUnavailable("The local model is being shut down.", provider=NAME)

    async def _until(self, future: asyncio.Future[T], cancel: CancelToken, timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except Cancelled as error:
            raise self._ended() from error
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"The model did not answer within {timeout_s:g} s.", provider=NAME, kind="total",
                remedy="A smaller model, or a longer clocks.turn_local_s.",
            ) from error  # fmt: skip
        finally:
            if not future.done():
                cancel.cancel()
                await asyncio.wait({future})
                future.exception()  # Cancelled: expected, and taken note of here

    def _work(self, work: Callable[[Engine, CancelToken], T], cancel: CancelToken) -> T:
        """In the worker thread."""
        try:
            if self._engine is None:
                self._engine = self._load(cancel)
            return work(self._engine, cancel)
        except MemoryError as error:
            raise self._out_of_memory() from error
        except RuntimeError as error:  # torch has no class of its own for this on the CPU
            if "not enough memory" in str(error) or "can't allocate memory" in str(error):
                raise self._out_of_memory() from error
            raise

    def _out_of_memory(self) -> ProviderUnavailable:
        return ProviderUnavailable(
            "The model ran out of memory.", provider=NAME, kind="memory",
            remedy="Lower kernel.local.cache_tokens, or choose a smaller model.",
        )  # fmt: skip

    def _load(self, cancel: CancelToken) -> Engine:
        """In the worker thread: convert once, look at memory, load."""
        import torch
        from safetensors import SafetensorError

        from kernel.local.engine import Engine

        torch.set_num_threads(thread_count(self._settings.threads))
        cancel.check()
        precision = self._precision()
        cancel.check()
        folder = self._converted(precision, cancel)
        size = sum(f.stat().st_size for f in folder.iterdir()) // MEGABYTE
        needed = size * (2 if precision == "fp32" else 1) + 512
        problem = shortage(needed, ceiling_mb=self._settings.memory_ceiling_mb, available=available_mb())
        if problem:
            raise ProviderUnavailable(problem, provider=NAME, kind="memory", remedy="Choose a smaller model.")
        try:
            return Engine.load(folder, precision)
        except (OSError, ValueError, SafetensorError) as error:
            raise ProviderUnavailable(
                f"The converted weights of {self._name} cannot be loaded: {error}.", provider=NAME, kind="weights",
                remedy=f"Delete {folder}: it is made again.",
            ) from error  # fmt: skip

    def _converted(self, precision: Precision, cancel: CancelToken) -> Path:
        try:
            return convert(
                self._name, self._weights, form=form_of(precision), models_dir=self._models_dir,
                progress=lambda done, total, what: None, cancel=cancel,
            )  # fmt: skip
        except ProviderError:
            raise
        except (OuroError, OSError) as error:
            problem, remedy = (error.message, error.remedy) if isinstance(error, OuroError) else (f"{error}.", "")
            raise ProviderUnavailable(problem, provider=NAME, kind="weights", remedy=remedy) from error

    def _precision(self) -> Precision:
        if self._settings.precision != "auto":
            self.why = f"{self._settings.precision}: the owner's setting"
            return self._settings.precision
        columns, rows = self._shape()
        free = available_mb()
        fits = free is None or free > 8 * self._weights.bytes // MEGABYTE
        chosen, self.why = pick(run_trials(columns, rows), fits_fp32=fits)
        return chosen

    def _shape(self) -> tuple[int, int]:
        """Of the largest weight of a layer: from a converted folder, else a usual one."""
        for form in ("bf16", "int8"):
            folder = store.converted_folder(self._models_dir, self._name, self._weights, form)
            if store.is_converted(folder):
                return layer_shape(read_config(folder))
        return 1536, 8960

    def _start_idle(self) -> None:
        if self._engine is not None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._settings.idle_unload_s, self._unload)

    def _stop_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _unload(self) -> None:
        """The weights are mapped from the file: dropping them gives the pages back."""
        if not self._turn.locked():
            self._engine = None
