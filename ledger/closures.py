"""Closure checks: how to find out later whether the condition of a signal is gone. Part of `ledger.vocabulary`.

A sensor may bring a kind of its own: a subclass of :class:`Check` (or of :class:`FileCheck` and the like) in its
folder, with a ``kind`` that no other has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from ledger.frozen import Frozen, inside

_KINDS: dict[str, type[Check]] = {}


class Check(Frozen):
    """Base of all kinds. The class variables are properties of a kind."""

    about_code: ClassVar[bool] = False  # gate 14 refuses a change of comments, blanks and docstrings only
    about_docs: ClassVar[bool] = False  # a change of what a program does goes beyond the request
    needs_yes: ClassVar[str] = ""  # why the owner has to approve, where the op could fulfil the check by its own text
    marked: ClassVar[bool] = False  # APPLY itself fulfils it, by a mark that the daemon writes

    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class for its ``kind``. Raises ``TypeError`` for a kind that another class has."""
        kind = cls.model_fields["kind"].default
        if isinstance(kind, str) and _KINDS.setdefault(kind, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__qualname__} and {_KINDS[kind].__qualname__} have the kind {kind!r}: rename one.")


class ClosureAnswer(Frozen):
    """The answer to one closure check, or to all of an op, and a sentence with the reason.

    ``gone``: the file or symbol that a check names no longer exists, so no change can close it. That is not closed.
    """

    closed: bool
    reason: str
    gone: bool = False


class TestsPass(Check):
    """Closed when every one of these test ids passes in the checked tree."""

    __test__ = False
    about_code: ClassVar[bool] = True

    kind: Literal["tests_pass"] = "tests_pass"
    ids: tuple[str, ...]


class OwnerConfirms(Check):
    """Closed only by the owner's confirmation; a signal with this check needs APPROVAL_REQUIRED."""

    needs_yes: ClassVar[str] = "no check can say that the goal is met; only the owner can"

    kind: Literal["owner_confirms"] = "owner_confirms"
    question: str


class TreeCheck(Check):
    """Base of the kinds that are evaluated by reading files of the checked tree."""


class FileCheck(TreeCheck):
    """Base of the kinds that read one file, ``path``."""

    path: Annotated[str, AfterValidator(inside)]


class MarkerAbsent(FileCheck):
    """Closed when no comment of the file has the text of the marker (a TODO and the like), with or without its word.

    ``digest`` is that of the marker's text, ``others`` are those of the file's other markers at that time. A marker
    that is not among them counts as the old one, reworded.
    """

    about_code: ClassVar[bool] = True
    needs_yes: ClassVar[str] = "a marker can go without what it asks for being done; only the owner can say that it is"

    kind: Literal["marker_absent"] = "marker_absent"
    digest: str
    others: tuple[str, ...] = ()


class SymbolDocumented(FileCheck):
    """Closed when the symbol (``name`` or ``Class.name``) of a Python file has a docstring with more than its name."""

    about_docs: ClassVar[bool] = True

    kind: Literal["symbol_documented"] = "symbol_documented"
    symbol: str


class ParametersDocumented(FileCheck):
    """Closed when a docstring has a line of its own for each parameter of ``told``, and for none of ``gone``."""

    about_docs: ClassVar[bool] = True

    kind: Literal["parameters_documented"] = "parameters_documented"
    symbol: str
    told: tuple[str, ...]
    gone: tuple[str, ...] = ()


class PageWithout(FileCheck):
    """Closed when no line of a documentation page mentions ``name``, or a call of it with ``parameter``."""

    about_docs: ClassVar[bool] = True
    needs_yes: ClassVar[str] = (
        "a page can stop naming a thing without becoming right; only the owner can say that it is"
    )

    kind: Literal["page_without"] = "page_without"
    name: str
    parameter: str = ""


class MetricBelow(FileCheck):
    """Closed when the cyclomatic complexity of a function is below ``value``, and so is that of all others in the file.

    ``others`` are exempt: functions that had reached ``value`` before.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["metric_below"] = "metric_below"
    symbol: str
    value: int
    others: tuple[str, ...] = ()


class Place(Frozen):
    """Location of a function; ``symbol`` is ``name`` or ``Class.name``."""

    path: Annotated[str, AfterValidator(inside)]
    symbol: str


class DuplicateGone(TreeCheck):
    """Closed when only one of several equal functions is left, and nothing uses the removed ones.

    ``shape`` is the digest of their common syntax tree, ``nodes`` the size of the smallest. At most one of ``places``
    may still have more than half of that size, so that a reworded copy counts as a copy.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["duplicate_gone"] = "duplicate_gone"
    places: tuple[Place, ...] = Field(min_length=2)
    shape: str
    nodes: int


class SymbolGone(TreeCheck):
    """Closed when a function is gone from its file, nothing in the tree names it, and it was not moved elsewhere.

    ``shape`` is the digest of its syntax tree (empty: none), ``twins`` the number of other functions of that shape.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["symbol_gone"] = "symbol_gone"
    place: Place
    shape: str
    twins: int = 0


class AllReached(FileCheck):
    """Closed when a function has no unreachable statements, and those that it had were removed.

    ``nodes`` is the size of the function without them, ``others`` the functions of the file that had some as well.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["all_reached"] = "all_reached"
    symbol: str
    nodes: int
    others: tuple[str, ...] = ()


class RunCheck(Check):
    """Base of the kinds that are evaluated by running tests of the checked tree, whichever tests the op names."""


class SuiteAnswers(RunCheck):
    """Closed when the whole suite runs to a verdict in which these tests pass, and at least ``least`` tests in all."""

    about_code: ClassVar[bool] = True

    kind: Literal["suite_answers"] = "suite_answers"
    ids: tuple[str, ...] = Field(min_length=1)
    least: int = Field(ge=1)


class SymbolPinned(RunCheck):
    """Closed when the tests of the file ``test`` pass, and fail for each small mutation of a function.

    ``body`` is a digest of the function, which must not change.
    """

    about_code: ClassVar[bool] = True
    needs_yes: ClassVar[str] = "a test holds fast what the code does now; only the owner can say whether that is right"

    kind: Literal["symbol_pinned"] = "symbol_pinned"
    path: Annotated[str, AfterValidator(inside)]
    symbol: str
    test: Annotated[str, AfterValidator(inside)]
    body: str


class VersionSpan(Frozen):
    """Versions from ``first`` up to ``end``, which is included if ``closed``. Empty ``end``: no upper bound."""

    first: str
    end: str = ""
    closed: bool = False


class VersionAtLeast(FileCheck):
    """Closed when the file pins ``package`` at ``version`` or later, wherever it names the package.

    ``but``: later versions that are known to be affected as well.
    """

    needs_yes: ClassVar[str] = "the tests ran with the version that is installed; only the owner can allow another"

    kind: Literal["version_at_least"] = "version_at_least"
    package: str
    version: str
    but: tuple[VersionSpan, ...] = ()


class ItemDone(FileCheck):
    """Closed when the item of a backlog file is marked done with the id of an op."""

    needs_yes: ClassVar[str] = "the daemon marks the item itself; only the owner can say that it is done"
    marked: ClassVar[bool] = True

    kind: Literal["item_done"] = "item_done"
    item: str  # digest of the item's name


class MetricLimit(Frozen):
    """``limit`` (a decimal number) is the worst value of a metric that is still within noise."""

    name: str
    limit: str = Field(pattern=r"^-?[0-9]{1,400}(\.[0-9]{1,400})?(e[+-]?[0-9]{1,4})?$")
    unit: str = ""
    higher_is_better: bool = False


class MetricWithin(Check):
    """Closed when the owner's benchmark, run on the tree, measures each metric within its limit.

    ``ruler`` are the files of the benchmark, ``ruler_digest`` is the digest of their contents when the limits were
    measured: with other contents a measurement proves nothing.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["metric_within"] = "metric_within"
    limits: tuple[MetricLimit, ...] = Field(min_length=1)
    ruler: tuple[str, ...] = ()
    ruler_digest: str = ""


class SidesAgree(TreeCheck):
    """Closed when a contract file (or the part that a JSON pointer selects) agrees with its counterpart in another
    repository. ``pair`` names the two files in the owner's settings, which configure where the counterpart is."""

    kind: Literal["sides_agree"] = "sides_agree"
    pair: str
    path: Annotated[str, AfterValidator(inside)]


def _of_kind(value: object) -> object:
    """A check of the class that its ``kind`` names, where ``value`` is one as JSON."""
    if not isinstance(value, Mapping):
        return value
    found = _KINDS.get(str(value.get("kind")))
    if found is None:
        raise ValueError(f"no sensor has closure checks of the kind {value.get('kind')!r}")
    return found.model_validate(value)


Closure = Annotated[SerializeAsAny[Check], BeforeValidator(_of_kind)]
"""Any kind of check. Read back by its ``kind``, of which the class must have been imported."""
