"""Interface of tools, records of their calls, and :class:`Toolbox`, which runs every tool call of a model."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.canonical import canonical
from ledger.clock import Clock, SystemClock
from ledger.errors import LedgerError, OuroError, PolicyRefused, ToolError
from ledger.vocabulary import Decision, Frozen, Tier, Verdict
from tools.mcp.settings import McpSettings
from tools.output import cap
from tools.policy import Policy, PolicyQuestion

if TYPE_CHECKING:
    from tools.builtin.standard import ToolParts
    from tools.git import Git
    from tools.policy import Person
    from tools.testing.runner import TestRunner
    from tools.workspace import Workspace

RATE_WINDOW_S = 60.0


class Category(StrEnum):
    """What a tool call explores; each kind has a weight in the exploration score."""

    COMPREHENSION = "COMPREHENSION"
    DISCOVERY = "DISCOVERY"
    CALL_GRAPH = "CALL_GRAPH"
    STRUCTURE = "STRUCTURE"
    HISTORY = "HISTORY"


WEIGHTS: Mapping[Category, int] = MappingProxyType(
    {
        Category.COMPREHENSION: 1,
        Category.DISCOVERY: 1,
        Category.CALL_GRAPH: 3,
        Category.STRUCTURE: 2,
        Category.HISTORY: 2,
    }
)


class ToolUse(Frozen):
    """Record of one call. ``score`` is its exploration score: 0 for repeats and for calls that were not run.

    ``found`` is False when a search had no results.
    """

    tool: str
    arguments: str  # canonical JSON, or the raw text when it could not be parsed
    ok: bool
    category: Category | None = None
    score: int = 0
    paths: tuple[str, ...] = ()
    found: bool = True


class Nothing(str):
    """Result text of a successful call that found nothing, and so is no evidence."""

    __slots__ = ()


class ToolSpec(Frozen):
    """Description of a tool for a model. ``parameters`` is a JSON schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(kw_only=True)
class ToolContext:
    """State of one op's tool calls. ``reads``, ``written`` and ``uses`` grow with its calls."""

    workspace: Workspace
    op_id: str
    tier: Tier
    git: Git
    runner: TestRunner | None = None
    runner_problem: str = ""  # why there is no runner
    person: Person | None = None
    reads: dict[str, str] = field(default_factory=dict)  # path -> sha256 of what was first read
    written: set[str] = field(default_factory=set)
    uses: list[ToolUse] = field(default_factory=list)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by each call that writes: one at a time

    def note_read(self, path: str, sha: str) -> None:
        """Record the hash of the first read of a file, unless the op has written the file itself."""
        if path not in self.written:
            self.reads.setdefault(path, sha)


@dataclass(frozen=True, kw_only=True)
class Call:
    """Context and callbacks of a running tool. ``visible``: whether a path may appear in the result.

    ``judge_host`` returns the policy's verdict on contacting a host (``name:port``, whether its address is private).
    ``judge_write`` returns the verdict on writing a path that is not in the arguments; the tool collects denials in
    ``refused``.
    """

    context: ToolContext
    visible: Callable[[str], bool]
    judge_host: Callable[[str, bool], Verdict]
    judge_write: Callable[[str], Verdict]
    refused: list[Verdict] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ToolOutcome:
    """Result of a call: for the model (``text``, capped) and for the record (``whole``).

    ``refused``: verdicts on changes that were undone.
    """

    text: str
    whole: str
    use: ToolUse
    verdict: Verdict
    refused: tuple[Verdict, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A call with validated arguments, and what it would touch."""

    arguments: str
    paths: tuple[str, ...]
    command: str = ""
    hosts: tuple[str, ...] = ()
    start: Callable[[Call], Awaitable[str]]


class Arguments(BaseModel):
    """Base of every tool's arguments. Unknown names are errors, so that a misspelt one is reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AnyTool(Protocol):
    """A tool as the toolbox uses it: a built-in one, or one of an MCP server."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def category(self) -> Category | None: ...

    @property
    def writes(self) -> bool: ...

    @property
    def runs_tests(self) -> bool: ...

    @property
    def timeout_s(self) -> float | None: ...

    def schema(self) -> dict[str, Any]: ...

    def prepare(self, arguments: str) -> Prepared: ...


class ToolSource(Protocol):
    """Source of tools that appear and disappear while the daemon runs."""

    def tools(self) -> Sequence[AnyTool]: ...

    def find(self, name: str) -> AnyTool | None: ...


A = TypeVar("A", bound=Arguments)


class Tool(ABC, Generic[A]):
    """Base of the built-in tools: an arguments model, the paths that a call touches, and the work."""

    name: str
    description: str
    category: Category | None = None
    writes: bool = False
    runs_tests: bool = False  # has the test time-out instead of the ordinary one
    timeout_s: float | None = None  # replaces either
    model: type[A]

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments."""
        return self.model.model_json_schema()

    def prepare(self, arguments: str) -> Prepared:
        """Validate the JSON text of the arguments. Raises ``ToolError`` with the first faults."""
        try:
            read = self.model.model_validate_json(arguments or "{}")
            text = canonical(read.model_dump(mode="json")).decode()
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()[:5])
            raise ToolError(f"The arguments of {self.name} are not right: {faults}.") from error
        except LedgerError as error:
            raise ToolError(f"The arguments of {self.name} are not right: {error.message}") from error
        return Prepared(
            arguments=text,
            paths=self.paths(read),
            command=self.command(read),
            hosts=self.hosts(read),
            start=lambda call: self.run(read, call),
        )

    @classmethod
    def build(cls, parts: ToolParts) -> Self | None:
        """The tool, made from ``parts``; None when they lack what it needs, and then it is not offered."""
        return cls()

    @abstractmethod
    def paths(self, arguments: A) -> tuple[str, ...]:
        """Every path that the call touches, relative to the workspace."""

    def command(self, arguments: A) -> str:
        """The shell command that the call runs; empty for a tool that runs none."""
        return ""

    def hosts(self, arguments: A) -> tuple[str, ...]:
        """The machines that the call would contact, as ``name:port``."""
        return ()

    @abstractmethod
    async def run(self, arguments: A, call: Call) -> str:
        """Execute the call; returns the result. Raises ``OuroError`` or ``OSError``, whose text goes to the model."""


class ToolSettings(Frozen):
    """Bounds of tool calls."""

    result_bytes: int = Field(4096, ge=512, description="bytes of a result that enter the prompt; head and tail stay")
    argument_bytes: int = Field(262_144, ge=1024, description="longest argument text that is read")
    call_timeout_s: float = Field(30.0, gt=0, description="seconds that a call may take")
    test_timeout_s: float = Field(600.0, gt=0, description="seconds that a call which runs tests may take")
    mcp: McpSettings = McpSettings()


class Toolbox:
    """Runs every tool call of a model: policy, time-out, capped result, record.

    ``at_once``: the policy's limit of concurrent calls of one op, which callers have to keep. ``more``: further tools.
    """

    def __init__(
        self,
        *,
        tools: Sequence[AnyTool],
        policy: Policy,
        settings: ToolSettings | None = None,
        clock: Clock | None = None,
        more: ToolSource | None = None,
        at_once: int = 2,
    ) -> None:
        self.at_once = at_once
        self._more = more
        self._tools = {tool.name: tool for tool in tools}
        self._policy = policy
        self._settings = settings or ToolSettings()
        self._clock = clock or SystemClock()
        self._running: dict[str, int] = {}
        self._recent: dict[tuple[str, str], deque[float]] = {}

    def schemas(self) -> tuple[ToolSpec, ...]:
        """Descriptions of the offered tools for a model."""
        return tuple(
            ToolSpec(name=tool.name, description=tool.description, parameters=tool.schema()) for tool in self._offered()
        )

    def runs_alone(self, name: str) -> bool:
        """True for a tool that writes or runs tests, and for an unknown one: no other call may run at the same time."""
        tool = self._find(name)
        return tool is None or tool.writes or tool.runs_tests

    def capped(self, text: str, whole_is: str = "") -> str:
        """``text`` capped for a prompt. ``whole_is``: where the full text is kept."""
        rest = "ask for less (a range, a narrower path or pattern) to see the rest"
        return cap(text, self._settings.result_bytes, rest=f"{rest}; the whole is {whole_is}" if whole_is else rest)

    def _offered(self) -> tuple[AnyTool, ...]:
        return (*self._tools.values(), *(self._more.tools() if self._more else ()))

    def _find(self, name: str) -> AnyTool | None:
        return self._tools.get(name) or (self._more.find(name) if self._more else None)

    async def call(self, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
        """Judge and run one call. A model's mistake is an outcome with ``ok`` False, never an exception."""
        tool = self._find(name)
        question = PolicyQuestion(tool=name, writes=True, tier=context.tier, op_id=context.op_id)
        if tool is None:
            verdict = self._policy.judge(question)
            if verdict.decision is Decision.ALLOW:  # the policy knows a tool that this toolbox lacks
                verdict = Verdict(
                    gate=0, rule="tools.unknown", decision=Decision.DENY, reason=f"{name!r} is not a tool."
                )
            known = ", ".join(offered.name for offered in self._offered())
            return self._refused(context, None, name, arguments, verdict, hint=f" The tools are: {known}.")
        try:
            if len(arguments) > self._settings.argument_bytes:
                raise ToolError(f"The arguments are longer than {self._settings.argument_bytes} characters.")
            prepared = tool.prepare(arguments)
        except ToolError as error:
            verdict = Verdict(gate=0, rule="tools.arguments", decision=Decision.REPAIR, reason=error.message)
            return self._refused(context, tool, name, arguments[: self._settings.result_bytes], verdict)
        question = question.model_copy(
            update={
                "writes": tool.writes,
                "paths": prepared.paths,
                "command": prepared.command,
                "hosts": prepared.hosts,
                "root": str(context.workspace.root),
                "seen_at": self._seen_at(prepared, context),
                "running": self._running.get(context.op_id, 0),
                "recent": self._count(context.op_id, name),
            }
        )
        with _Running(self._running, context.op_id):
            verdict = await asyncio.to_thread(self._policy.judge, question)
            if verdict.decision is not Decision.ALLOW:
                return self._refused(context, tool, name, prepared.arguments, verdict, paths=prepared.paths)
            return await self._run(tool, prepared, question, context, verdict)

    async def _run(
        self, tool: AnyTool, prepared: Prepared, question: PolicyQuestion, context: ToolContext, verdict: Verdict
    ) -> ToolOutcome:
        usual = self._settings.test_timeout_s if tool.runs_tests else self._settings.call_timeout_s
        limit = tool.timeout_s or usual
        ok = False
        call = Call(
            context=context,
            visible=self._visible(question),
            judge_write=self._write_judge(question),
            judge_host=self._host_judge(question),
        )
        try:
            async with context.writing if tool.writes else contextlib.nullcontext(), asyncio.timeout(limit):
                text = await prepared.start(call)
            ok = True
        except TimeoutError:
            text = f"{tool.name} took longer than {limit:g} s."
        except PolicyRefused as error:
            verdict = Verdict(gate=0, rule=error.rule, decision=Decision.DENY, reason=error.message)
            text = f"Refused by {error.rule}: {error.message}"
        except OuroError as error:
            text = str(error)
        except OSError as error:
            text = f"{tool.name} failed: {error.strerror or error}."
        repeat = any(u.tool == tool.name and u.arguments == prepared.arguments for u in context.uses)
        score = 0 if tool.category is None or repeat else WEIGHTS[tool.category]
        use = ToolUse(
            tool=tool.name,
            arguments=prepared.arguments,
            ok=ok,
            category=tool.category,
            score=score,
            paths=prepared.paths,
            found=not isinstance(text, Nothing),
        )
        context.uses.append(use)
        return ToolOutcome(text=self.capped(text), whole=text, use=use, verdict=verdict, refused=tuple(call.refused))

    def _refused(
        self,
        context: ToolContext,
        tool: AnyTool | None,
        name: str,
        arguments: str,
        verdict: Verdict,
        *,
        paths: tuple[str, ...] = (),
        hint: str = "",
    ) -> ToolOutcome:
        use = ToolUse(
            tool=name, arguments=arguments, ok=False, category=tool.category if tool else None, score=0, paths=paths
        )
        context.uses.append(use)
        text = f"Refused by {verdict.rule}: {verdict.reason}{hint}"
        return ToolOutcome(text=self.capped(text), whole=text, use=use, verdict=verdict)

    def _visible(self, question: PolicyQuestion) -> Callable[[str], bool]:
        """Whether a file may be shown in a result: the policy's verdict on reading that path, cached."""
        answers: dict[str, bool] = {}

        def visible(path: str) -> bool:
            if path not in answers:
                neutral = {"writes": False, "command": "", "hosts": (), "running": 0, "recent": 0}
                asked = question.model_copy(update={**neutral, "paths": (path,)})
                answers[path] = self._policy.judge(asked).decision is Decision.ALLOW
            return answers[path]

        return visible

    def _host_judge(self, question: PolicyQuestion) -> Callable[[str, bool], Verdict]:
        """The policy's verdict on contacting a host, so that a redirect is judged like the first address."""

        def judge_host(netloc: str, private: bool) -> Verdict:
            asked = {"hosts": (netloc,), "private": private, "paths": (), "running": 0, "recent": 0}
            return self._policy.judge(question.model_copy(update=asked))

        return judge_host

    @staticmethod
    def _seen_at(prepared: Prepared, context: ToolContext) -> str:
        """The path at which a command sees the workspace; empty without a command or a runner."""
        if not prepared.command or context.runner is None:
            return ""
        return str(context.runner.place_of(context.workspace))

    def _write_judge(self, question: PolicyQuestion) -> Callable[[str], Verdict]:
        """The policy's verdict on writing one path."""
        neutral = {"writes": True, "command": "", "hosts": (), "running": 0, "recent": 0}
        return lambda path: self._policy.judge(question.model_copy(update={**neutral, "paths": (path,)}))

    def _count(self, op_id: str, tool: str) -> int:
        """Number of calls of this tool by this op in the last ``RATE_WINDOW_S``; records this one."""
        now = self._clock.monotonic()
        for key, times in list(self._recent.items()):
            while times and now - times[0] > RATE_WINDOW_S:
                times.popleft()
            if not times:
                del self._recent[key]
        times = self._recent.setdefault((op_id, tool), deque())
        times.append(now)
        return len(times) - 1


class _Running:
    """Counts an op's running calls for as long as the block lasts."""

    def __init__(self, counts: dict[str, int], op_id: str) -> None:
        self._counts = counts
        self._op_id = op_id

    def __enter__(self) -> None:
        self._counts[self._op_id] = self._counts.get(self._op_id, 0) + 1

    def __exit__(self, *_: object) -> None:
        self._counts[self._op_id] -= 1
        if not self._counts[self._op_id]:
            del self._counts[self._op_id]
