"""A goal that a person submits by hand."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from ledger.clock import Clock, stamp
from ledger.errors import ControlError
from ledger.ids import new_signal_id
from ledger.vocabulary import Closure, Evidence, OwnerConfirms, Signal, Source, TestsPass, Urgency
from sensors.bus import fingerprint

OWNER = "owner"


def closure_of(goal: str, closed_when: Sequence[str]) -> Closure:
    """``--closed-when``: test ids (``tests/test_a.py::test_b``), or ``owner``, which is also meant by nothing at all.

    Raises ``ControlError`` for a word that is neither.
    """
    words = [word.strip() for word in closed_when if word.strip()]
    if not words or words == [OWNER]:
        return OwnerConfirms(question=f"Is this done: {goal}")
    wrong = next((word for word in words if not word.split("::")[0].endswith(".py")), None)
    if wrong is not None:
        raise ControlError(
            f"{wrong!r} is no test id.", remedy="Give ids like tests/test_a.py::test_b, or `owner` to decide yourself."
        )
    return TestsPass(ids=tuple(dict.fromkeys(words)))


def manual_signal(
    goal: str,
    *,
    files: Sequence[str] = (),
    closed_when: Sequence[str] = (),
    base: str,
    clock: Clock,
    urgency: Urgency = Urgency.CRITICAL,
    boot: str = "",
    source: Source = Source.MANUAL,
    confidence_bp: int = 10_000,
    evidence: Sequence[Evidence] = (),
) -> Signal:
    """A signal for a goal at commit ``base``; ``source``: how the person gave it.

    Raises ``ControlError`` for a goal or a path that cannot be taken.
    """
    text = " ".join(goal.split())
    closure = closure_of(text, closed_when)
    targets = tuple(dict.fromkeys(path.strip().removeprefix("./") for path in files))
    try:
        return Signal(
            id=new_signal_id(),
            source=source,
            goal=text,
            targets=targets,
            urgency=urgency,
            confidence_bp=confidence_bp,
            evidence=tuple(evidence),
            key=fingerprint(source.value, text, closure.model_dump_json(), *sorted(targets)),
            closure=closure,
            base=base,
            boot=boot,
            seen_at=stamp(clock.now()),
        )
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ControlError(
            f"The goal cannot be taken: {why}.", remedy="Give a short goal, and paths inside the repository."
        ) from error
