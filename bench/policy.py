"""What a verdict of the tool policy takes: commands and paths, on a workspace that is there.

Run ``python -m bench.policy [rounds]``; prints a markdown table. Each command is read anew: nothing is remembered from
one verdict to the next.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from governance.irongate.shell.examples import ALLOWED, DENIED
from governance.irongate.shell.reading import read
from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from tools.policy import PolicyQuestion

ROUNDS = 20
FOLDERS, FILES = 40, 25
LONG = (
    "set -e; for f in src/p0/m1.py src/p1/m2.py; do grep -n 'def ' \"$f\" | head -5; done",
    "cd src && PYTHONPATH=. timeout 60 python -m pytest -q -x p0 p1 2>&1 | tail -40 > ../out.txt || true",
    "cat > src/p0/new.py <<'EOF'\n"
    + "x = 1  # a line of a file that is written whole\n" * 60
    + "EOF\npython src/p0/new.py",
    " && ".join(f"sed -i 's/a/b/' src/p{n}/m{n}.py" for n in range(8)),
)
RULE = {
    "name": "no-deploy",
    "action": "deny",
    "about": "command",
    "pattern": "make deploy*",
    "match": ["make deploy"],
    "not_match": ["make test"],
}


def questions(root: Path) -> Iterator[tuple[str, PolicyQuestion]]:
    """(kind, question): commands by the examples of gate 3 and a few long ones, and every file once."""
    commands = (*ALLOWED, *LONG, *(command for group in DENIED.values() for command in group))
    for command in commands:
        yield "command", PolicyQuestion(tool="bash", writes=True, command=command, root=str(root))
    for file in sorted(root.rglob("*.py"))[:300]:
        path = file.relative_to(root).as_posix()
        yield "path", PolicyQuestion(tool="edit_file", writes=True, paths=(path,), root=str(root))
    for path in (".env", "../x", "src/p0/absent.py", "src/SRC/x", "a\nb", "certs/server.pem"):
        yield "path", PolicyQuestion(tool="edit_file", writes=True, paths=(path,), root=str(root))


def tree(root: Path) -> None:
    """A thousand files, as a repository of some size has them."""
    for folder in range(FOLDERS):
        for file in range(FILES):
            place = root / "src" / f"p{folder}" / f"m{file}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("a = 1\n")


def row(name: str, taken: list[float]) -> str:
    """One line of the table."""
    p99 = statistics.quantiles(taken, n=100)[-1]
    return f"| {name} | {len(taken)} | {statistics.median(taken):.3f} | {p99:.3f} | {max(taken):.3f} |"


def main(rounds: int) -> None:
    """Measure ``rounds`` times every question, after one that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        tree(root)
        policy = ToolPolicy(tools=("bash", "edit_file"), settings=ToolPolicySettings.model_validate({"rules": [RULE]}))
        taken: dict[str, list[float]] = {"command": [], "path": []}
        for number in range(rounds + 1):
            for kind, question in questions(root):
                read.cache_clear()
                begun = time.perf_counter()
                policy.judge(question)
                if number:
                    taken[kind].append((time.perf_counter() - begun) * 1000)
        print("| verdict on a | verdicts | median ms | p99 ms | longest ms |\n|---|---|---|---|---|")
        for kind, values in taken.items():
            print(row(kind, values))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
