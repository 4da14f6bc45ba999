"""Variants of shell tricks: gate 3 refuses each in any company, and where it is taken away the sandbox stops them.

In a bare shell the same variants reach what is outside, so that it is these two that stop them.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from governance.irongate.shell.examples import DENIED
from governance.irongate.tool.g03_commands import CommandFacts, check
from ledger.vocabulary import Decision
from tests.cage.corpus import Input, families
from tests.cage.outside import MARK, Outside, outside
from tests.cage.test_shell_tricks import FILES, tricks
from tests.repos import commit, host_env, make_places, make_repo
from tests.tools.sandbox.boxes import Box
from tools.sandbox.choice import candidates
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount

BY_THE_DISK = {"over what the owner protects", "through a link"}
"""Refused for what stands there, or for what the owner says: not by their text."""
LAST = "the last visitor"
ALONE = {"alias", "coprocess", "at the end"}
"""Of no effect in some company: bash reads a whole group before its aliases hold, and keeps one trap for the end."""
SHELL = ("bash", "--noprofile", "--norc", "-c")
WRAPS: dict[str, Callable[[str], str]] = {
    "between others": lambda text: f"ls\n{text}\nls",
    "in a subshell": lambda text: f"(\n{text}\n)",
    "in a group that writes": lambda text: f"{{\n{text}\n}} > out.txt; cat out.txt",
    "in a condition": lambda text: f"if true\nthen\n{text}\nfi",
    "in a loop": lambda text: f"for i in 1\ndo\n{text}\ndone",
    "in a loop without end": lambda text: f"while true\ndo\n{text}\nbreak\ndone",
    "in a case": lambda text: f"case x in\nx)\n{text}\n;;\nesac",
    "in a function": lambda text: f"wrapped() {{\n{text}\n}}\nwrapped",
    "behind a pipe": lambda text: f"ls | {{\n{text}\n}}",
    "behind a condition": lambda text: f"true && {{\n{text}\n}}",
    "in a substitution": lambda text: f'kept=$(\n{text}\n); echo "$kept"',
    "as an argument": lambda text: f'echo "$(\n{text}\n)"',
    "as a file": lambda text: f"cat <(\n{text}\n)",
    "in the background": lambda text: f"{{\n{text}\n}} & wait",
    "for another shell": lambda text: f"bash -c {shlex.quote(text)}",
    "for another shell, behind programs": lambda text: f"timeout 9 nice -n 3 env A=b bash -c {shlex.quote(text)}",
    "for eval": lambda text: f"eval {shlex.quote(text)}",
    "for the end": lambda text: f"trap {shlex.quote(text)} EXIT",
}
COMPANY = st.lists(st.sampled_from(sorted(WRAPS)), max_size=3)


def dressed(text: str, company: Sequence[str]) -> str:
    for wrap in company:
        text = WRAPS[wrap](text)
    return text


def refused() -> list[str]:
    """Commands of the corpus that gate 3 refuses by their text."""
    found = [one for family in families() if family.drive == "shell" for one in family.input]
    kept = [one.command for one in found if one.rule.startswith("gate03") and one.name not in BY_THE_DISK]
    for word in ("{mark}", "{secret}", "{outside}", "{state}"):
        kept = [command.replace(word, f"/srv/place/{word[1:-1]}") for command in kept]
    return [command.replace("{port}", "4711").replace("{name}", "x") for command in kept]


@settings(max_examples=150)
@given(st.sampled_from(refused()), COMPANY)
def test_a_trick_is_refused_in_any_company(command: str, company: list[str]) -> None:
    assert check(CommandFacts(command=dressed(command, company))).decision is Decision.DENY, (command, company)


SPELLINGS = (
    "{0}",
    "{1}''{2}",
    '"{0}"',
    "\\{0}",
    "/usr/bin/{0}",
    "/bin/../bin/{0}",
    "command {0}",
    "exec {0}",
    "nice -n 1 {0}",
    "nohup {0}",
    "env A=b {0}",
    "A=b {0}",
    "timeout 9 {0}",
    "stdbuf -o0 {0}",
    "! {0}",
    "time {0}",
    "\\\n{0}",
    "setsid {0}",
    "env -u HOME nice {0}",
    "{1}\\\n{2}",
)
NAMED = [
    command
    for rule in ("destructive", "network", "package_install", "process_control", "privilege", "git_history")
    for command in DENIED[rule]
    if command.split()[0].isalnum() and command.split()[0] not in ("f", "ls", "echo", "cat")
]


@settings(max_examples=100)
@given(st.sampled_from(NAMED), st.sampled_from(SPELLINGS), COMPANY)
def test_a_program_is_known_however_its_name_is_written(command: str, spelling: str, company: list[str]) -> None:
    name, _, rest = command.partition(" ")
    written = f"{spelling.format(name, name[0], name[1:])} {rest}"
    assert check(CommandFacts(command=dressed(written, company))).decision is Decision.DENY, (written, company)


# --- without the gate -------------------------------------------------------------------------------------------------


@dataclass
class Ground:
    """A repository and what lies outside of it."""

    repo: Path
    world: Outside

    def command(self, one: Input, company: Sequence[str]) -> str:
        text = one.command.replace("{secret}", str(self.world.canary(one.label)))
        values = {"mark": self.world.marks / one.label, "name": one.label, "port": self.world.port}
        for word, value in {**values, "outside": self.world.base}.items():
            text = text.replace(f"{{{word}}}", str(value))
        return dressed(text, company)

    def script(self, batch: Sequence[tuple[Input, list[str]]]) -> str:
        """One after the other, each in a shell of its own that ends."""
        calls = [shlex.join(("timeout", "20", *SHELL, self.command(*each))) for each in batch]
        return "\n".join((*(f"{call} </dev/null" for call in calls), "echo all were tried"))

    def settle(self) -> None:
        """Until whoever came before us has been listened to: one comes after the other."""
        with socket.create_connection(("127.0.0.1", self.world.port)) as last:
            last.sendall(LAST.encode())
        deadline = time.monotonic() + 20
        while LAST not in self.world.came and time.monotonic() < deadline:
            time.sleep(0.01)
        self.world.came.remove(LAST)

    def reached(self, output: str) -> set[str]:
        """Who has left a mark, said who it is, or shown what it read."""
        self.settle()
        shown = {one.label for one in tricks() if self.world.secret(one.label) in output}
        return {*shown, *self.world.left_marks(), *self.world.visitors(), *self.world.changed()}

    def forget(self) -> None:
        """What the batches before have left."""
        self.world.came.clear()
        for mark in self.world.marks.iterdir():
            subprocess.run(["rm", "-rf", str(mark)], check=True)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    repo = make_repo(tmp_path / "shop", FILES)
    commit(repo, "total", {"shop/cart.py": "total = 2\n"})
    with outside(tmp_path / "beyond") as world:
        yield Ground(repo, world)


BATCH = st.lists(st.tuples(st.sampled_from(tricks()), COMPANY), min_size=6, max_size=10, unique_by=lambda each: each[0])
EVERY = [(one, []) for one in tricks()]
PLAYED = settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
@PLAYED
@example(batch=EVERY)
@given(batch=BATCH)
def test_without_the_gate_the_sandbox_stops_every_variant(
    ground: Ground, walls: str, batch: list[tuple[Input, list[str]]]
) -> None:
    places = make_places(ground.repo.parent, ground.repo)
    box: Box | str = dict(candidates(SandboxSettings(), places, host_env()))[walls]
    if isinstance(box, str):
        pytest.skip(box)
    own = Mount(source=ground.repo, target=ground.repo, writable=True)
    job = Job(argv=("bash", "-c", ground.script(batch)), cwd=ground.repo, mounts=(own,), timeout_s=300)
    done = asyncio.run(box.run(job))
    output = done.output.decode(errors="replace")
    assert "all were tried" in output and MARK not in output
    ground.settle()
    ground.world.assert_untouched()


@PLAYED
@given(batch=BATCH)
def test_without_gate_and_sandbox_the_variants_reach_what_is_outside(
    ground: Ground, batch: list[tuple[Input, list[str]]]
) -> None:
    ground.forget()
    batch = [(one, company[:1]) for one, company in batch if one.name not in ALONE]
    done = subprocess.run(
        ["bash", "-c", ground.script(batch)], cwd=ground.repo, capture_output=True, text=True, timeout=300, check=False
    )
    assert {one.label for one, _ in batch} <= ground.reached(done.stdout)
