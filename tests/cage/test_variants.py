"""Variants on top of the corpus: a mutation of an input that is stopped is stopped too. Pure, so there can be many."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from governance.irongate.candidate import g05_characters, g15_secrets, g17_dangerous
from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from ledger.vocabulary import Decision, Tier
from tests.cage.corpus import Drive, Input, families
from tools.builtin.paths import tidy
from tools.policy import PolicyQuestion

POLICY = ToolPolicy(tools=("read_file", "edit_file"), settings=ToolPolicySettings(protected=("/billing",)))
ON_DISK = ("gate01.link", "gate01.case", "gate01.special")  # told by what stands there, not by the text


def inputs(drive: Drive) -> list[Input]:
    """What of a drive's inputs is stopped."""
    return [one for family in families() if family.drive == drive for one in family.input if not one.gap]


def of(drive: Drive, rule: str) -> st.SearchStrategy[Input]:
    return st.sampled_from([one for one in inputs(drive) if one.rule.startswith(rule) and one.rule not in ON_DISK])


def placed(path: str, place: object = "/srv/place") -> str:
    """A path of the corpus with ``place`` for the folders of a run."""
    for word in ("{outside}", "{state}", "{repo}"):
        path = path.replace(word, str(place))
    return path.replace("{long}", "l" * 300)


def upper_half(path: str) -> str:
    return "".join(char.upper() if index % 2 else char for index, char in enumerate(path))


PATH_CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": lambda path: path,
    "as a folder": lambda path: f"{path}/",
    "from here": lambda path: path if path.startswith(("/", "~", "-", ":")) else f"./{path}",
    "slashes doubled": lambda path: path.replace("/", "//"),
    "dots between": lambda path: path.replace("/", "/./"),
    "something below": lambda path: f"{path}/below.py",
    "other case": upper_half,
    "blank behind": lambda path: f"{path} ",
    "dot behind": lambda path: f"{path}.",
}


@given(of("path", "gate0"), st.sampled_from(sorted(PATH_CHANGES)), st.booleans())
def test_a_path_in_another_dress_is_refused(one: Input, change: str, writes: bool) -> None:
    """As the tools see it: tidied, then judged."""
    path = PATH_CHANGES[change](placed(one.path))
    if one.path.endswith("..") and change in ("blank behind", "dot behind"):
        return  # `.. ` and `...` are ordinary names
    question = PolicyQuestion(tool="edit_file" if writes else "read_file", writes=writes, paths=(tidy(path),))
    assert POLICY.judge(question).decision is Decision.DENY, path


WRAPS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "behind other code": lambda text: "import math\n\nx = math.pi\n" + text,
    "before other code": lambda text: text + "\n\ndef last(x):\n    return x\n",
    "in a function": lambda text: "def outer(x):\n" + textwrap.indent(text, "    ") + "\n    return x\n",
    "in a class": lambda text: "class Outer:\n" + textwrap.indent(text, "    ") + "\n",
    "in a condition": lambda text: "if x:\n" + textwrap.indent(text, "    ") + "\n",
    "in a try": lambda text: "try:\n" + textwrap.indent(text, "    ") + "\nfinally:\n    pass\n",
}


@given(of("asked", "gate17"), st.sampled_from(sorted(WRAPS)))
def test_dangerous_code_in_other_surroundings_waits_for_a_person(one: Input, wrap: str) -> None:
    text = WRAPS[wrap](one.text)
    if "import *" in text and wrap in ("in a function", "in a class"):
        return  # only a module may do that
    verdict = g17_dangerous.check(g17_dangerous.DangerFacts(path="a.py", before=b"", after=text.encode()))
    assert verdict.floor is Tier.APPROVAL_REQUIRED, text


@given(
    of("file", "gate15"), st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30), st.booleans()
)
def test_a_secret_among_other_text_is_found(one: Input, words: str, first: bool) -> None:
    around = f"# {words}\n"
    text = around + one.text if first else one.text + around
    verdict = g15_secrets.check(g15_secrets.SecretFacts(path=one.path or "a.py", before=None, after=text.encode()))
    assert verdict.decision is Decision.DENY


@given(of("file", "gate05.invisible"), st.sampled_from(["x = 1\n", "'''doc'''\n", "# words\n", "\n\n"]), st.booleans())
def test_a_hidden_character_is_found_wherever_it_stands(one: Input, words: str, first: bool) -> None:
    text = words + one.text if first else one.text + words
    for path in ("a.py", "a.md", "a.js", "Makefile"):
        facts = g05_characters.CharacterFacts(path=path, before=words.encode(), after=text.encode())
        assert g05_characters.check(facts).decision is Decision.DENY
