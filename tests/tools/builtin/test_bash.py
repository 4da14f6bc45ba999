"""bash behind real walls: what it says, what it leaves, what is put back, and that nothing unjudged stays."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from ledger.errors import GitFailed
from ledger.vocabulary import Tier
from tests.repos import git, host_env
from tests.tools.sandbox.boxes import soon_gone
from tests.tools.testing.projects import Backend, Project, make_project
from tools import write_back
from tools.builtin.settings import BuiltinSettings
from tools.builtin.standard import standard_tools
from tools.git import Git
from tools.manifest import Toolbox, ToolContext, ToolOutcome, ToolSettings

FILES = {
    "src/a.py": "a = 1\n",
    "src/b.py": "b = 1\n",
    "run.sh": "echo hi\n",
    ".env": "TOKEN=abc\n",
    ".gitignore": "build/\n*.log\n",
    "docs/text.md": "text\n",
}


@dataclass
class Desk:
    """A project, a toolbox on the real policy, and one op's context."""

    project: Project
    box: Toolbox
    context: ToolContext

    async def __call__(self, command: str, tool: str = "bash") -> ToolOutcome:
        return await self.box.call(tool, json.dumps({"command": command}), self.context)

    async def read(self, *paths: str) -> None:
        for path in paths:
            assert (await self.box.call("read_file", json.dumps({"path": path}), self.context)).use.ok

    @property
    def root(self) -> Path:
        return self.context.workspace.root

    def tree(self) -> Mapping[str, bytes]:
        """Every file of the workspace with its bytes; of links and other things their kind."""
        found = {}
        for base, _, names in os.walk(os.fsencode(self.root)):
            for name in names:
                path = os.path.join(base, name)
                key = os.fsdecode(os.path.relpath(path, os.fsencode(self.root)))
                regular = os.path.isfile(path) and not os.path.islink(path)
                found[key] = Path(os.fsdecode(path)).read_bytes() if regular else b"<special>"
        return found


async def desk(tmp_path: Path, walls: Backend = "bwrap", files: Mapping[str, str] = FILES, **settings: object) -> Desk:
    (tmp_path / "home").mkdir(exist_ok=True)
    project = await make_project(tmp_path, files, None, walls)
    builtin = BuiltinSettings.model_validate(settings)
    tools = standard_tools(host_env(), settings=builtin, tools=ToolSettings())
    policy = ToolPolicy(tools=[t.name for t in tools], settings=ToolPolicySettings(rate_per_minute=1000))
    context = ToolContext(
        workspace=project.ws, op_id="op-1", tier=Tier.SAFE_AUTO, git=Git(project.places, host_env()),
        runner=project.runner(),
    )  # fmt: skip
    return Desk(project=project, box=Toolbox(tools=tools, policy=policy, settings=ToolSettings()), context=context)


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_a_command_runs_in_the_workspace_and_its_changes_are_edits(tmp_path: Path, walls: Backend) -> None:
    bash = await desk(tmp_path, walls)
    await bash.read("src/a.py", "src/b.py")
    out = await bash("sed -i s/1/2/ src/a.py && rm src/b.py && mkdir -p new && echo 'c = 3' > new/c.py; pwd; exit 3")
    assert out.use.ok and "exit code 3" in out.text, out.text
    assert "src/a.py (changed)" in out.text and "src/b.py (deleted)" in out.text and "new/c.py (new)" in out.text
    where = bash.project.repo if walls == "bwrap" else bash.root
    assert str(where) in out.text
    assert bash.context.written == {"src/a.py", "src/b.py", "new/c.py"}
    assert bash.context.workspace.read("src/a.py") == b"a = 2\n"
    assert (bash.project.repo / "src/a.py").read_text() == "a = 1\n"
    assert not out.refused
    again = await bash(f"echo x > {where}/src/d.py && cat src/a.py")
    assert "a = 2" in again.text and "src/d.py (new)" in again.text, again.text


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("rm -rf src", "gate03.destructive"),
        ("curl https://example.org", "gate03.network"),
        ("echo x > .env", "gate03.protected"),
        ("cat .env", "gate03.protected"),
        ("echo x > ../x", "gate03.outside"),
        ("git commit -am x", "gate03.git_history"),
        ("echo 'x", "gate03.unparsable"),
        ("$(cat run.sh)", "gate03.computed"),
    ],
)
async def test_a_refused_command_does_not_start(tmp_path: Path, command: str, rule: str) -> None:
    bash = await desk(tmp_path)
    before = bash.tree()
    out = await bash(command)
    assert not out.use.ok and out.verdict.rule == rule and rule in out.text
    assert bash.tree() == before and not bash.context.written


# What a program does of which the text says nothing: the policy meets it afterwards.
BEHIND = "python3 - <<'EOF'\nimport os, shutil, socket\n{}\nEOF"
ATTACKS = {
    "protected file": ("open('.env', 'w').write('x')", "gate02.built_in"),
    "protected file by link": ("os.symlink('.env', 'x.py'); open('x.py', 'w').write('x')", "gate01.link"),
    "protected file gone": ("os.unlink('.env')", "gate02.built_in"),
    "protected file in the place of a folder": ("shutil.rmtree('src'); os.rename('.env', 'src')", "gate02.built_in"),
    "link out": ("os.symlink('/etc/passwd', 'src/p.py')", "gate01.link"),
    "link for a folder": ("shutil.rmtree('src'); os.symlink('/etc', 'src')", "gate01.link"),
    "link for a file": ("os.unlink('src/a.py'); os.symlink('/etc/passwd', 'src/a.py')", "gate01.link"),
    "hard link": ("os.link('.env', 'copy.pem')", "gate02.built_in"),
    "pipe": ("os.mkfifo('pipe')", "gate01.special"),
    "pipe that git would read": ("os.mkfifo('src/.gitignore'); open('src/new.py', 'w')", "gate01.special"),
    "socket": ("s = socket.socket(socket.AF_UNIX); s.bind('sock')", "gate01.special"),
    "git folder": ("os.makedirs('.git/hooks'); open('.git/hooks/x', 'w'); open('.git/config', 'w')", "gate01.git"),
    "git folder below": ("os.makedirs('src/.GIT'); open('src/.GIT/config', 'w')", "gate01.git"),
    "git file": ("open('src/.git', 'w').write('gitdir: /x')", "gate01.git"),
    "new line in a name": (r"open('src/a\n.py', 'w')", "gate01.characters"),
    "bytes that are no text": (r"open(b'src/\xff.py', 'w')", "gate01.backslash"),
    "another spelling": ("os.makedirs('SRC'); open('SRC/a.py', 'w')", "gate01.case"),
    "a folder nobody may enter": ("os.makedirs('x/.git'); open('x/.git/c', 'w'); os.chmod('x', 0)", "gate01.git"),
    "too large": ("open('big.bin', 'wb').truncate(64 << 20)", "tools.too_much"),
    "thousands": ("os.mkdir('m'); [open(f'm/{i}.py', 'w').close() for i in range(3000)]", "tools.too_much"),
    "unread": ("open('src/b.py', 'w').write('b = 2')", "tools.unread"),
    "deep": (
        "open('.env', 'w').write('x'); open('src/a.py', 'w').write('x')\n"
        "for _ in range(3000): os.mkdir('.d'); os.chdir('.d')\nopen('f', 'w')",
        "tools.too_much",
    ),
    "deep where git ignores it": (
        "os.mkdir('build'); os.chdir('build')\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')",
        "tools.too_much",
    ),
    "long names, deep in a folder of the commit": (
        "os.chdir('src')\nfor _ in range(40): os.mkdir('d' * 250); os.chdir('d' * 250)\nopen('f', 'w')",
        "tools.too_much",
    ),
    "ignored and protected": ("os.mkdir('build'); open('build/.env', 'w')", "gate02.built_in"),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_what_may_not_be_is_put_back(tmp_path: Path, name: str) -> None:
    code, rule = ATTACKS[name]
    bash = await desk(tmp_path)
    await bash.read("src/a.py")
    before = bash.tree()
    out = await bash(BEHIND.format(code))
    assert "exit code 0" in out.text, out.text
    assert rule in {verdict.rule for verdict in out.refused}, (out.refused, out.text)
    assert rule in out.text
    after = bash.tree()
    kept = {path: after[path] for path in bash.context.written if path in after}
    assert {path: data for path, data in after.items() if path not in kept} == {
        path: data for path, data in before.items() if path not in bash.context.written
    }
    assert ".env" not in bash.context.written and after[".env"] == b"TOKEN=abc\n"
    assert b"<special>" not in after.values()


@pytest.mark.parametrize(
    "error",
    [
        OSError(36, "File name too long"),
        GitFailed("git has failed.", argv=(), code=1, stderr=""),
        RecursionError("deep"),
    ],
)
async def test_what_cannot_be_looked_at_is_undone_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever the reason is that nobody has thought of."""
    bash = await desk(tmp_path)
    await bash.read("src/a.py", "run.sh")
    await bash("echo 'a = 5' > src/a.py; rm run.sh")
    before = bash.tree()

    def fails(*_: object) -> list[str]:
        raise error

    monkeypatch.setattr(write_back, "differing", fails)
    out = await bash("echo weak > src/a.py; echo x > Makefile; rm docs/text.md; mkdir -p d/e; echo y > run.sh")
    assert "exit code 0" in out.text and "tools.left_unreadable" in {verdict.rule for verdict in out.refused}, out.text
    assert bash.tree() == before and "run.sh" not in before


async def test_the_rest_of_a_command_stands_where_a_part_is_refused(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    await bash.read("src/a.py")
    await bash("echo 'a = 5' > src/a.py")
    out = await bash(BEHIND.format("open('src/a.py', 'a').write('x = 6\\n'); open('.env', 'w'); open('n.py', 'w')"))
    assert bash.context.written == {"src/a.py", "n.py"}
    assert bash.context.workspace.read("src/a.py") == b"a = 5\nx = 6\n"
    out = await bash(BEHIND.format("os.unlink('src/a.py'); os.symlink('/etc/passwd', 'src/a.py')"))
    assert "gate01.link" in out.text
    assert bash.context.workspace.read("src/a.py") == b"a = 5\nx = 6\n", "what the op had written, not the commit's"


async def test_modes_are_kept_and_ignored_files_are_no_edits(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    await bash.read("run.sh", "src/a.py")
    out = await bash("chmod +x run.sh; chmod 0 src/a.py; mkdir build; echo o > build/out.o; echo l > x.log")
    assert "file modes were restored: run.sh" in out.text, out.text
    assert not bash.context.written
    assert (bash.root / "run.sh").stat().st_mode & 0o111 == 0
    assert (bash.root / "src/a.py").read_text() == "a = 1\n"
    assert (bash.root / "build/out.o").read_text() == "o\n"
    out = await bash("printf 'x\\n' > tool.sh; chmod 755 tool.sh; cat build/out.o")
    assert bash.context.written == {"tool.sh"} and (bash.root / "tool.sh").stat().st_mode & 0o777 == 0o755


async def test_long_output_is_cut_for_the_model_and_whole_on_disk(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    out = await bash('for i in 1 2 3 4 5 6 7 8; do printf "%0200000d\\n" $i; done; echo the end')
    assert len(out.text.encode()) <= 4096 and "the end" in out.text and "full output (1600016 bytes)" in out.text
    place = next(word for word in out.text.split() if word.endswith(".txt"))
    again = await bash(f"tail -c 8 {place}; wc -c < {place}")
    assert "the end" in again.text and "1600016" in again.text, again.text
    assert not bash.context.written


async def test_time_is_up(tmp_path: Path) -> None:
    bash = await desk(tmp_path, command_timeout_s=1.0)
    out = await bash("echo early; echo x > left.py; sleep 61.7351 & sleep 61.7351")
    assert "the time limit is 1 s" in out.text and "early" in out.text
    assert soon_gone("61.7351")
    assert bash.context.written == {"left.py"}


async def test_a_cancelled_command_leaves_nothing_unjudged(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    code = "open('.env', 'w').write('x'); open('started.py', 'w')\nos.system('sleep 61.9182')"
    task = asyncio.create_task(bash(BEHIND.format(code)))
    async with asyncio.timeout(30):
        while not (bash.root / "started.py").exists():  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert soon_gone("61.9182")
    assert (bash.root / ".env").read_text() == "TOKEN=abc\n"
    assert not bash.context.written


async def test_writers_take_turns(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    edit = json.dumps({"path": "made.py", "replace": "x = 1\n"})
    async with asyncio.TaskGroup() as group:
        command = group.create_task(bash("sleep 0.3; echo y > other.py"))
        await asyncio.sleep(0.1)
        edited = group.create_task(bash.box.call("edit_file", edit, bash.context))
    assert edited.result().use.ok and command.result().use.ok
    assert "made.py" not in command.result().text
    assert bash.context.written == {"made.py", "other.py"} and (bash.root / "made.py").exists()


async def test_there_is_nothing_outside(tmp_path: Path) -> None:
    """The walls themselves: the checkout, the daemon's folders, the network."""
    bash = await desk(tmp_path)
    secret = bash.project.places.state
    secret.mkdir(parents=True, exist_ok=True)
    (secret / "key").write_text("key")
    probe = (
        f"for p in ({str(secret / 'key')!r}, {str(bash.project.repo / '.git/config')!r}, '/etc/shadow'):\n"
        "    print(p, os.path.exists(p) and open(p).read())\n"
        "try: socket.create_connection(('192.0.2.1', 80), 1)\nexcept OSError as e: print('no network')\n"
    )
    out = await bash(BEHIND.format(probe))
    assert "no network" in out.text and "[core]" not in out.text and "root:" not in out.text
    assert git(bash.project.repo, "status", "--porcelain") == ""


async def test_without_a_sandbox_nothing_runs(tmp_path: Path) -> None:
    bash = await desk(tmp_path)
    bash.context.runner = None
    out = await bash("ls")
    assert not out.use.ok and "there is no sandbox" in out.text
    bash.context.runner_problem = "pytest is not installed in .venv."
    assert (await bash("ls")).text == "Commands cannot be run here: pytest is not installed in .venv."


async def test_without_walls_only_where_the_owner_allowed_it(tmp_path: Path) -> None:
    bash = await desk(tmp_path, "none")
    out = await bash("echo x > new.py; ls")
    assert "new.py (new)" in out.text and "exit code 0" in out.text
