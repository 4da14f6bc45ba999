"""What must never land with nobody there: hostile repairs of one function, and files that other programs run."""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from governance.irongate.candidate import g20_unattended
from governance.irongate.candidate_gates import decide, inspect
from governance.irongate.unattended.repository import OtherFiles
from governance.phases.gate import facts_of
from governance.risk.ladder import assess
from ledger.vocabulary import Decision, EditKind, Tier, Verdict
from tests.governance.irongate.builders import inspection

FOLDER = Path(__file__).parent / "corpus/unattended"
PATH = "calc.py"
FAULTY = "import os\nimport sys\n\n\ndef add(a, b):\n    return a - b\n"
MENDED = FAULTY.replace("a - b", "a + b")
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(20, 33) == 53\n"


class Source(NamedTuple):
    """A hostile repair: its name, and the whole file."""

    name: str
    text: str


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def whole(row: dict[str, str], body: Callable[[str], str] = str) -> str:
    """The file that a row describes; ``body`` may dress what stands in the function."""
    lines = ["import os", "import sys", *([row["head"]] if row["head"] else [])]
    first = f"{row['first']}\n" if "first" in row else ""
    return f"{first}{chr(10).join(lines)}\n\n\ndef add(a, b):\n{textwrap.indent(body(row['body']), '    ')}\n"


@cache
def rows() -> dict[str, dict[str, str]]:
    """Every row by ``family: name``."""
    return {f"{family}: {name}": row for family, of in _read("sources").items() for name, row in of.items()}


def sources() -> Iterator[Source]:
    """Every hostile repair of the corpus."""
    return (Source(name, whole(row)) for name, row in rows().items())


class Loosened(NamedTuple):
    """A change that a rule of its own lets pass, or one that would like to."""

    name: str
    before: str
    after: str
    test: str
    known: tuple[str, ...]
    is_honest: bool

    def said(self) -> Verdict:
        """What gate 20 says to it."""
        facts = g20_unattended.UnattendedFacts(
            path=PATH, before=self.before.encode(), after=self.after.encode(), tests=(self.test,), known=self.known
        )
        return g20_unattended.check(facts)


def loosened() -> Iterator[Loosened]:
    """Every change of the corpus that uses a rule which lets something pass."""
    for family, of in _read("loosened").items():
        for kind in ("honest", "hostile"):
            for name, (old, new) in of[kind].items():
                before = of["before"]
                assert old in before, f"{family}: {name}"
                yield Loosened(
                    f"{family}: {kind} {name}",
                    before,
                    before.replace(old, new),
                    of["test"],
                    tuple(of.get("known", ())),
                    kind == "honest",
                )


def elsewhere() -> list[str]:
    """Every path of the corpus."""
    return [path for paths in _read("elsewhere").values() for path in paths]


def asked(text: str, path: str = PATH, before: str = FAULTY) -> Verdict:
    """What gate 20 says to the file."""
    facts = g20_unattended.UnattendedFacts(
        path=path,
        kind=EditKind.MODIFY,
        before=before.encode(),
        after=text.encode("utf-8", "surrogatepass"),
        tests=(TEST,),
    )
    return g20_unattended.check(facts)


def waits(verdict: Verdict) -> bool:
    """Whether a person is asked."""
    return verdict.floor is Tier.APPROVAL_REQUIRED


def tier_of(path: str, before: str, after: str, tests: tuple[str, ...] = (TEST,)) -> Tier | None:
    """The tier that a candidate of one edit gets from all gates and the ladder; None: it is refused."""
    made = inspection({path: (before, after)}).model_copy(update={"tests": tests, "raised": ("AssertionError",)})
    verdicts = inspect(made)
    decision, floor = decide(verdicts)
    if decision is not Decision.ALLOW:
        return None
    facts = facts_of(
        made.op, made.candidate, made.originals, verdicts=verdicts, protected=(), core=(), is_ourselves=False
    )
    return assess(facts, floors=((floor, "a gate asks for it"),)).tier


def silent(tier: Tier | None) -> bool:
    """Whether such a change lands with nobody there."""
    return tier in (Tier.SAFE_AUTO, Tier.NOTIFY_APPLY)


def changes() -> list[dict[str, Any]]:
    """Changes of whole files: ``name``, ``path``, ``before``, ``after``, and ``others``, files beside it."""
    return [*_read("changes")["change"], *_read("moves")["change"]]


def gaps() -> list[dict[str, Any]]:
    """Such changes that get through: what is known not to hold."""
    return list(_read("gaps")["change"])


def asked_of(change: dict[str, Any], *, by_search: bool = False) -> Verdict:
    """What gate 20 says to such a change, with what the repository answers to its questions."""
    path, before, after = change["path"], change["before"].encode(), change["after"].encode()
    files = [(path, before), *((at, text.encode()) for at, text in change.get("others", {}).items())]
    wanted = g20_unattended.questions_about(path, before, after)
    known = tuple(OtherFiles(files).answers(wanted))
    facts = g20_unattended.UnattendedFacts(
        path=path, before=before, after=after, tests=(TEST,), known=known, by_search=by_search
    )
    return g20_unattended.check(facts)
