"""Errors of this repository on new pictures in a folder of the owner.

A program in the sandbox reads the picture. Neither picture nor text is kept: only the kind of error, its place and one
line without secrets, all of it data from outside. Closed when the failing test that the picture names passes; without
one, by the owner.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.ids import sha256_hex
from ledger.vocabulary import Closure, Evidence, OwnerConfirms, RunStatus, Signal, TestsPass
from sensors.bus import Bus, Delivery, Topic, fingerprint
from sensors.failing_tests import list_test_ids, needs_network
from sensors.ports import SensorPorts
from sensors.sensor import Sensor
from sensors.vision import SPEC, VisionSettings
from sensors.vision.frames import UnreadablePicture, read_picture
from sensors.vision.screen_text import ScreenError, loose, real_tests, recognise
from sensors.watch.named import Named, below
from sensors.watch.named_files import FileRefused, read_named, resolve_path

UNNAMED = "unavailable: no folder of pictures is named"
NAME_ONE = "Name the folder in which new pictures appear: sensors.vision.folder."
ENDINGS = (".png", ".jpg", ".jpeg")
SURE_BP, GUESS_BP = 8_000, 5_000
MOST_TARGETS = 4
REMEMBERED = 512  # pictures that need not be read again
HOUR = timedelta(hours=1)


class Vision(Sensor[VisionSettings]):
    """See the module."""

    spec = SPEC

    @classmethod
    def places(cls, settings: VisionSettings, top: str) -> Named:
        return Named(folders=((resolve_path(settings.folder, top), ENDINGS),) if settings.folder else ())

    def __init__(self, *, ports: SensorPorts, settings: VisionSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._ocr = ports.ocr(settings.program, settings.languages, settings.limit_s)
        self._top = str(ports.top)
        self._folder = resolve_path(settings.folder, self._top)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._read_at: deque[datetime] = deque()

    # --- the protocol of sensors ---

    async def start(self, bus: Bus) -> None:
        """Look at what is fresh, then at what comes, until cancelled."""
        async with bus.subscribe(Topic.NAMED_CHANGED) as events:
            await self._look()
            async for delivery in events:
                await self._woken(delivery)

    async def _scan(self) -> tuple[Signal, ...]:
        """At the pictures that are fresh and were not read yet."""
        return await self._pictures(await asyncio.to_thread(self._fresh))

    # --- which pictures ---

    async def _woken(self, delivery: Delivery) -> None:
        inside = [path for path in delivery.event.paths if self._is_picture(path)]
        if delivery.missed or delivery.event.everything:
            await self._look()
        elif inside:
            with self._shown():
                async with self._turn:
                    await self._pictures(await asyncio.to_thread(_newest, inside))

    def _is_picture(self, path: str) -> bool:
        return path.rpartition("/")[0] == self._folder and path.lower().endswith(ENDINGS)

    def _fresh(self) -> list[str]:
        """Pictures that were written lately, the newest first. In a thread."""
        since = (self._clock.now() - timedelta(seconds=self._settings.fresh_s)).timestamp()
        try:
            with os.scandir(self._folder) as entries:
                pictures = [e for e in entries if self._is_picture(e.path) and e.is_file(follow_symlinks=False)]
                return _newest([e.path for e in pictures if e.stat(follow_symlinks=False).st_mtime >= since])
        except OSError:  # the folder has not come yet
            return []

    # --- a look ---

    async def _pictures(self, paths: Sequence[str]) -> tuple[Signal, ...]:
        if not await self._is_able():
            return ()
        head = await self._repository.check()
        files = await self._repository.files(head)
        notes, signals = list[str](), list[Signal]()
        for path in paths[: self._settings.per_look]:
            told = await self._picture(path, head, files)
            if isinstance(told, Signal):
                signals.append(told)
            else:
                notes.append(f"{_name(path)}: {told}")
        left = len(paths) - self._settings.per_look
        notes += [f"{left} more were left out"] if left > 0 else []
        notes += [f"{len(signals)} errors of this repository"] if signals else []
        self._say(self._ports.redact("; ".join(notes)) or "No new picture.")
        return tuple(signals)

    async def _is_able(self) -> bool:
        if not self._settings.folder:
            self._say(UNNAMED, problem=UNNAMED, remedy=NAME_ONE)
            return False
        why, remedy = await asyncio.to_thread(self._ocr.missing)
        if why:
            self._say(f"unavailable: {why}", problem=why, remedy=remedy)
        return not why

    async def _picture(self, path: str, head: str, files: Collection[str]) -> Signal | str:
        """A signal, or why there is none."""
        settings = self._settings
        top = self._top if below(path, self._top) is not None else self._folder
        try:
            file = await asyncio.to_thread(read_named, path, top=top, largest=settings.largest_bytes)
            if file is None:
                return "is gone again"
            shape = await asyncio.to_thread(read_picture, file.data)
        except (FileRefused, UnreadablePicture) as error:
            return str(error)
        if shape.pixels > settings.most_megapixels * 1_000_000:
            return f"it has more than {settings.most_megapixels} megapixels"
        digest = await asyncio.to_thread(sha256_hex, file.data)
        if digest in self._known:
            return "it was read before"
        if not self._may_read():
            return f"{settings.per_hour} pictures were read within an hour"
        text, why = await self._ocr.read(file.data)
        if text is None:
            return why
        self._remember(digest)
        seen = await asyncio.to_thread(recognise, text, files, top=Path(self._top).name)
        return await self._tell(seen, head) if seen is not None else "it shows no error of this repository"

    def _may_read(self) -> bool:
        now = self._clock.now().astimezone(UTC)
        while self._read_at and now - self._read_at[0] > HOUR:
            self._read_at.popleft()
        if len(self._read_at) >= self._settings.per_hour:
            return False
        self._read_at.append(now)
        return True

    def _remember(self, digest: str) -> None:
        self._known[digest] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    # --- from what was seen to a signal ---

    async def _tell(self, seen: ScreenError, head: str) -> Signal | str:
        touched = await self._repository.last_touched(head, seen.path) or head
        error, kind = self._ports.redact(seen.error), loose(self._ports.redact(seen.kind))
        tests = real_tests(seen.tests, await self._repository.read_many(head, {path for path, _ in seen.tests}))
        # The same error on another picture: read a little differently, or a line further down.
        key = fingerprint(self.source.value, seen.path, kind, touched, *tests)
        if await self._memory.filter_emitted([key]):
            return "it shows what was said before"
        if await self._memory.count_recent() >= self._settings.per_day:
            return "enough was said today"
        closure = await self._closure(seen, error, tests, head)
        if isinstance(closure, str):
            return closure
        signal = await self._signal(key, seen, error, closure, head, touched)
        await self._send(signal)
        return signal

    async def _closure(self, seen: ScreenError, error: str, tests: Sequence[str], head: str) -> Closure | str:
        """The tests that the picture names, if red twice in a row; a text: why there is nothing to do."""
        if tests:
            once = await self._ports.tests.run(head, tests)
            if once.status is RunStatus.GREEN:
                return f"it shows {tests[0]} failing, which passes at {head[:12]}"
            ids = sorted({r.id for r in once.red if not needs_network(r)})
            again = await self._ports.tests.run(head, ids) if ids else once
            red = list_test_ids([result for result in again.red if result.id in ids])
            if red:
                return TestsPass(ids=red)
            if ids:
                return f"it shows {ids[0]} failing, which fails only now and then at {head[:12]}"
        if why := self._ports.unavailable():
            return f"it names no test that fails here, and {why}"
        return OwnerConfirms(question=f"Is this gone: {error} ({seen.path})?")

    async def _signal(
        self, key: str, seen: ScreenError, error: str, closure: Closure, head: str, touched: str
    ) -> Signal:
        where = seen.places[0] if seen.places else None
        at = f"{where.path}:{where.line}" if where else seen.path
        lines = [error, *(f"{place.path}:{place.line}" for place in seen.places)]
        lines += closure.ids if isinstance(closure, TestsPass) else ()
        return self._new_signal(
            goal=f"Mend what a picture of a screen shows: {error} at {at}.",
            targets=tuple(dict.fromkeys(place.path for place in seen.places))[:MOST_TARGETS] or (seen.path,),
            confidence_bp=SURE_BP if isinstance(closure, TestsPass) else GUESS_BP,
            evidence=(
                Evidence(
                    claim="What was recognised on it",
                    evidence="\n".join(lines),
                    confidence_bp=GUESS_BP,
                    source="picture",
                ),
            ),
            key=key,
            closure=closure,
            base=head,
            depth=await self._depth_at(touched),
        )


def _newest(paths: Sequence[str]) -> list[str]:
    """By when they were written; what is gone again comes last. In a thread."""

    def written(path: str) -> float:
        try:
            return os.lstat(path).st_mtime
        except OSError:
            return 0.0

    return sorted(paths, key=written, reverse=True)


def _name(path: str) -> str:
    name = path.rpartition("/")[2]
    return "".join(c if c.isprintable() else "?" for c in name)[:80]
