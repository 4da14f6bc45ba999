"""Declaration of control methods: a decorated function becomes a method that its API carries out.

The first line of a method's docstring is its help text in the REPL.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import Enum
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from pydantic import BaseModel

from ledger.vocabulary import Frozen

if TYPE_CHECKING:
    from daemon.control.record_answers import RecordAnswers
    from daemon.control.service_api import ServiceApi
    from daemon.control.table import ControlApi

P = ParamSpec("P")
R = TypeVar("R", bound=BaseModel)
Bound = Callable[Concatenate["ControlApi", P], Coroutine[Any, Any, R]]
"""A declared method: what callers see."""


class NoParams(Frozen):
    """A method without parameters."""


class Effect(Enum):
    """What a method does, and whether its client needs the control token."""

    TELLS = "tells"  # the daemon's own state: open to every process of its owner
    REVEALS = "reveals"  # content of the repository, the record or a person's message: needs the token
    CHANGES = "changes"  # anything else: needs the token

    @property
    def needs_token(self) -> bool:
        return self is not Effect.TELLS


class Method:
    """One declared method.

    ``from_record``: its body needs the record alone, so it is answered where no daemon runs. ``usage`` is its command
    in the REPL; empty without one. ``limited``: the client gives up after ``control.answer_timeout_s``.
    """

    def __init__(
        self, body: Callable[..., Awaitable[Any]], *, effect: Effect, from_record: bool, usage: str, limited: bool
    ) -> None:
        self.name = body.__name__
        self.effect = effect
        self.from_record = from_record
        self.usage = usage
        self.limited = limited
        self.help = (body.__doc__ or "").partition("\n")[0].rstrip(".")
        self._body = body

    @cached_property
    def params(self) -> type[BaseModel]:
        """The request's type."""
        return self._type_of("request") if "request" in self._body.__annotations__ else NoParams

    @cached_property
    def result(self) -> type[BaseModel]:
        """The result's type."""
        return self._type_of("return")

    def _type_of(self, name: str) -> type[BaseModel]:
        found: type[BaseModel] = self._body.__globals__[self._body.__annotations__[name]]
        return found

    async def carry_out(self, api: ControlApi, source: ServiceApi | RecordAnswers, *request: BaseModel) -> Any:
        """Run the body on what it declared to need."""
        return await self._body(api, source, *request)

    def read(self, params: Mapping[str, Any]) -> BaseModel:
        """The request in the parameters of a line. Raises ``ValidationError``."""
        return self.params.model_validate_json(json.dumps(params))  # as JSON, so that arrays become tuples

    async def call(self, api: ControlApi, request: BaseModel) -> BaseModel:
        """Call this method of ``api``, which may have overridden it."""
        ask = getattr(api, self.name)
        result: BaseModel = await (ask() if self.params is NoParams else ask(request))
        return result


def needs_daemon(
    effect: Effect, *, usage: str = "", limited: bool = True
) -> Callable[[Callable[Concatenate[ControlApi, ServiceApi, P], Coroutine[Any, Any, R]]], Bound[P, R]]:
    """Declare a method whose body runs in the daemon."""

    def declare(body: Callable[Concatenate[ControlApi, ServiceApi, P], Coroutine[Any, Any, R]]) -> Bound[P, R]:
        return _bind(body, Method(body, effect=effect, from_record=False, usage=usage, limited=limited))

    return declare


def needs_record(
    effect: Effect, *, usage: str = ""
) -> Callable[[Callable[Concatenate[ControlApi, RecordAnswers, P], Coroutine[Any, Any, R]]], Bound[P, R]]:
    """Declare a method whose body reads the record alone: it is answered with a daemon and without one."""

    def declare(body: Callable[Concatenate[ControlApi, RecordAnswers, P], Coroutine[Any, Any, R]]) -> Bound[P, R]:
        return _bind(body, Method(body, effect=effect, from_record=True, usage=usage, limited=True))

    return declare


def _bind(body: Callable[..., Any], method: Method) -> Bound[P, R]:
    @wraps(body)
    async def ask(api: ControlApi, *request: BaseModel) -> Any:
        return await api._carry_out(method, *request)

    ask.declared = method  # type: ignore[attr-defined]
    return ask  # type: ignore[return-value]


def methods_of(members: Mapping[str, Any]) -> Mapping[str, Method]:
    """The declared methods among the members of a class, by name."""
    return {name: each.declared for name, each in members.items() if hasattr(each, "declared")}
