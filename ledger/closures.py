"""Closure checks: how to ask later whether the condition of a signal is gone. Used as part of `ledger.vocabulary`.

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
    """Base of all kinds. What is said here of a kind holds for each check of it."""

    about_code: ClassVar[bool] = False  # a change that leaves every program as it was is no answer to it
    about_docs: ClassVar[bool] = False  # a change of what a program does is more than was asked for
    needs_yes: ClassVar[str] = ""  # why a person has to agree, where the op writes itself what the check asks for
    marked: ClassVar[bool] = False  # the daemon itself makes it true, by a mark of its own at APPLY

    kind: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class for its ``kind``. Raises ``TypeError`` for a kind that another class has."""
        kind = cls.model_fields["kind"].default
        if isinstance(kind, str) and _KINDS.setdefault(kind, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__qualname__} and {_KINDS[kind].__qualname__} have the kind {kind!r}: rename one.")


class TestsPass(Check):
    """Closed when every one of these test ids passes at the tree that is asked about."""

    __test__ = False
    about_code: ClassVar[bool] = True

    kind: Literal["tests_pass"] = "tests_pass"
    ids: tuple[str, ...]


class OwnerConfirms(Check):
    """Closed only by the owner's yes; a signal with this check needs APPROVAL_REQUIRED."""

    needs_yes: ClassVar[str] = "no check can say that the goal is met; only the owner can"

    kind: Literal["owner_confirms"] = "owner_confirms"
    question: str


class TreeCheck(Check):
    """Base of the kinds that are answered by reading files of the tree that is asked about."""


class FileCheck(TreeCheck):
    """Base of those for which one file is enough."""

    path: Annotated[str, AfterValidator(inside)]


class MarkerAbsent(FileCheck):
    """Closed when no comment of the file says any more what the marker (a TODO and the like) said.

    ``digest`` is that of the marker's text. ``others`` are those of the markers that stood beside it: one that is not
    among them is the old one in other words.
    """

    about_code: ClassVar[bool] = True
    needs_yes: ClassVar[str] = "a marker can go without what it asks for being done; only the owner can say that it is"

    kind: Literal["marker_absent"] = "marker_absent"
    digest: str
    others: tuple[str, ...] = ()


class SymbolDocumented(FileCheck):
    """Closed when the symbol (``name`` or ``Class.name``) of a Python file has a docstring that says something."""

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
    """Closed when a page does not speak any more of what is gone: a name, or a call of ``name`` with ``parameter``."""

    about_docs: ClassVar[bool] = True
    needs_yes: ClassVar[str] = (
        "a page can stop naming a thing without becoming right; only the owner can say that it is"
    )

    kind: Literal["page_without"] = "page_without"
    name: str
    parameter: str = ""


class MetricBelow(FileCheck):
    """Closed when a function's cyclomatic complexity is below ``value``, and no other of its file has come over it.

    ``others`` are those that were over it before.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["metric_below"] = "metric_below"
    symbol: str
    value: int
    others: tuple[str, ...] = ()


class Place(Frozen):
    """Where a function stands; ``symbol`` is ``name`` or ``Class.name``."""

    path: Annotated[str, AfterValidator(inside)]
    symbol: str


class DuplicateGone(TreeCheck):
    """Closed when one of several equal functions is left, and nothing uses what went.

    ``shape`` is the digest of what they have in common, ``nodes`` how large the smallest was: one of them at most may
    still be half as large, so a copy that only reads otherwise now is still one.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["duplicate_gone"] = "duplicate_gone"
    places: tuple[Place, ...] = Field(min_length=2)
    shape: str
    nodes: int


class SymbolGone(TreeCheck):
    """Closed when a function is gone from its file, nothing in the tree names it, and it has not come back elsewhere.

    ``shape`` is its digest (empty: it has none), ``twins`` how many others of that shape there were.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["symbol_gone"] = "symbol_gone"
    place: Place
    shape: str
    twins: int = 0


class AllReached(FileCheck):
    """Closed when no statement of a function stands where it can never be carried out, and what stood there is gone.

    ``nodes`` is the size of the function without them, ``others`` the functions of the file that had such ones too.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["all_reached"] = "all_reached"
    symbol: str
    nodes: int
    others: tuple[str, ...] = ()


class RunCheck(Check):
    """Base of the kinds that are answered by running tests of the tree that is asked about, whatever the op named."""


class SuiteAnswers(RunCheck):
    """Closed when the whole suite comes to a verdict, in which these tests pass, and ``least`` tests in all."""

    about_code: ClassVar[bool] = True

    kind: Literal["suite_answers"] = "suite_answers"
    ids: tuple[str, ...] = Field(min_length=1)
    least: int = Field(ge=1)


class SymbolPinned(RunCheck):
    """Closed when the tests of a file pass, and notice each small change that is made to a function to see that.

    ``body`` is a digest of the function, which is to stay as it was.
    """

    about_code: ClassVar[bool] = True
    needs_yes: ClassVar[str] = "a test holds fast what the code does now; only the owner can say whether that is right"

    kind: Literal["symbol_pinned"] = "symbol_pinned"
    path: Annotated[str, AfterValidator(inside)]
    symbol: str
    test: Annotated[str, AfterValidator(inside)]
    body: str


class VersionSpan(Frozen):
    """Versions from ``first`` on, and below ``end`` (or up to it: ``closed``); an empty ``end`` is none."""

    first: str
    end: str = ""
    closed: bool = False


class VersionAtLeast(FileCheck):
    """Closed when the file pins ``package`` at ``version`` or a later one, wherever it names it.

    ``but``: later versions that are known to have a defect, too.
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
    """``limit`` (a decimal number) is the last value of a metric that is still within noise."""

    name: str
    limit: str = Field(pattern=r"^-?[0-9]{1,400}(\.[0-9]{1,400})?(e[+-]?[0-9]{1,4})?$")
    unit: str = ""
    higher_is_better: bool = False


class MetricWithin(Check):
    """Closed when the owner's benchmark, run on the tree, measures each metric within its limit.

    ``ruler`` are the files that measure, ``ruler_digest`` is that of their contents when the limits were found: with
    others nothing is proven.
    """

    about_code: ClassVar[bool] = True

    kind: Literal["metric_within"] = "metric_within"
    limits: tuple[MetricLimit, ...] = Field(min_length=1)
    ruler: tuple[str, ...] = ()
    ruler_digest: str = ""


class SidesAgree(TreeCheck):
    """Closed when a file (or the part of it that a JSON pointer names) says what its counterpart in another repository
    says there, where that stands. ``pair`` is the owner's name for the two: where the other lies is his to say."""

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
