"""Gates 1 and 11 on a real file system, and gate 2's patterns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from governance.irongate.candidate import g01_containment, g02_protected, g11_staleness
from ledger.ids import sha256_hex
from ledger.vocabulary import Decision


def rule(root: Path, path: str) -> str:
    return g01_containment.check(g01_containment.gather(root, path)).rule


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src").mkdir(parents=True)
    (tree / "src" / "app.py").write_text("x = 1\n")
    (tmp_path / "outside.py").write_text("y = 1\n")
    (tree / "link.py").symlink_to(tmp_path / "outside.py")
    (tree / "away").symlink_to(tmp_path)
    (tree / "inner").symlink_to("src")
    os.mkfifo(tree / "pipe")
    return tree


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/app.py", "gate01.ok"),
        ("src/new/deep.py", "gate01.ok"),
        ("link.py", "gate01.link"),
        ("away/outside.py", "gate01.link"),
        ("away/new.py", "gate01.link"),
        ("inner/app.py", "gate01.link"),
        ("SRC/app.py", "gate01.case"),
        ("src/APP.py", "gate01.case"),
        ("pipe", "gate01.special"),
        ("src/app.py/x", "gate01.special"),
        ("src/../src/app.py", "gate01.dots"),
    ],
)
def test_what_stands_on_the_way(root: Path, path: str, expected: str) -> None:
    assert rule(root, path) == expected


def test_a_linked_root_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert rule(tmp_path / "alias", "src/app.py") == "gate01.root_link"


@pytest.mark.parametrize("name", [".git", ".GIT", ".Git ", ".git.", "git~1", "GIT~1", ".ｇit", ".git::$INDEX"])
def test_every_spelling_of_gits_folder(name: str) -> None:
    assert g01_containment.check(g01_containment.ContainmentFacts(path=f"a/{name}/config")).decision is Decision.DENY


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("*.pem", "a/B.PEM", True),
        ("*.pem", "a/pem.py", False),
        ("billing", "src/billing/x.py", True),
        ("billing", "src/billing2/x.py", False),
        ("/src", "src/a.py", True),
        ("/src", "lib/src/a.py", False),
        ("src/*/x.py", "lib/src/a/x.py", True),
        ("build/", "build/out.js", True),
        ("", "a.py", False),
        ("/", "a.py", False),
        (".env*", "x/.Env.", True),
    ],
)
def test_patterns_are_compared_by_component(pattern: str, path: str, covered: bool) -> None:
    assert g02_protected.matches(pattern, path) is covered


def test_own_code_only_in_the_daemons_own_repository() -> None:
    assert g02_protected.own_patterns(["src/a.py"]) == ()
    assert "/governance" in g02_protected.own_patterns(["governance/irongate/registry.py"])


def test_staleness_reads_the_disk_without_following_links(root: Path) -> None:
    sha = sha256_hex((root / "src/app.py").read_bytes())
    read: dict[str, str | None] = {"src/app.py": sha, "gone.py": "1", "link.py": sha256_hex("y = 1\n")}
    facts = g11_staleness.gather(root, ["src/app.py", "new/x.py"], {**read, "new/x.py": None})
    assert facts.now["src/app.py"] == sha
    assert facts.now["new/x.py"] is None
    assert facts.now["link.py"] == g11_staleness.NOT_A_FILE
    verdict = g11_staleness.check(facts)
    assert (verdict.decision, verdict.rule) == (Decision.ALLOW, "gate11.neighbour_changed")
    assert verdict.evidence == ("gone.py", "link.py")
    (root / "src/app.py").write_text("x = 2\n")
    again = g11_staleness.check(g11_staleness.gather(root, ["src/app.py"], read))
    assert (again.decision, again.rule) == (Decision.DENY, "gate11.target_changed")
