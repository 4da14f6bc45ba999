from __future__ import annotations

import stat
from pathlib import Path

import pytest

from daemon.lifecycle.initialise import InitOptions, InitStep, initialise
from governance.changes.settings import ChangeSettings
from governance.changes.signing import ensure_identity
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import git, make_places, make_repo


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo", {"a.py": "x = 1\n"}))


class Owner:
    """Answers a question and remembers it."""

    def __init__(self, answer: bool) -> None:
        self.answer = answer
        self.questions: list[str] = []

    def __call__(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


NO_OPTIONS = InitOptions()


def init(
    places: Places, site: Path | None = None, options: InitOptions = NO_OPTIONS, ask: Owner | None = None
) -> list[InitStep]:
    def keys() -> Path:
        return ensure_identity(places, ChangeSettings()).key

    return list(initialise(places, make_keys=keys, site_packages=site, options=options, ask=ask))


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_writes_settings_and_keys_and_nothing_else(places: Places) -> None:
    before = listing(places.repo)
    steps = init(places)
    after = listing(places.repo)
    assert set(after) - set(before) == {".ouro/config.toml", ".ouro/.gitignore"}
    assert {name: after[name] for name in before} == before
    assert stat.S_IMODE((places.keys / "signing_ed25519").stat().st_mode) == 0o600
    assert [step.done for step in steps] == [True, True, True, True, False]
    (places.repo / ".ouro" / "noise").write_text("")
    assert git(places.repo, "status", "--porcelain", "-uall").split("\n") == [
        "?? .ouro/.gitignore",
        "?? .ouro/config.toml",
    ]


@pytest.mark.parametrize("name", ["config.toml", "backlog.toml", "backlog.md", "goals.toml"])
def test_what_is_to_be_committed_is_not_hidden(places: Places, name: str) -> None:
    init(places)
    (places.repo / ".ouro" / name).write_text("")
    git(places.repo, "add", f".ouro/{name}")
    assert git(places.repo, "ls-files", ".ouro") == f".ouro/{name}"


def test_nobody_to_ask_is_no_no(places: Places, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    assert "no terminal to ask at; `ouro init --yes`" in init(places, tmp_path / "site")[-1].text
    assert "as you wish" in init(places, tmp_path / "site", InitOptions(plugin=False))[-1].text
    assert "as you wish" in init(places, tmp_path / "site", ask=Owner(False))[-1].text


def test_again_changes_nothing(places: Places, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    init(places, site, InitOptions(plugin=True))
    (places.repo / ".ouro" / "config.toml").write_text("# mine\n")
    before = listing(tmp_path)
    steps = init(places, site, InitOptions(plugin=True))
    assert not any(step.done for step in steps)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("wish", "answer", "written", "asked"),
    [
        (None, None, False, 0),
        (None, False, False, 1),
        (None, True, True, 1),
        (True, None, True, 0),
        (False, True, False, 0),
    ],
)
def test_the_wake_up_needs_a_yes(
    places: Places, tmp_path: Path, wish: bool | None, answer: bool | None, written: bool, asked: int
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    owner = None if answer is None else Owner(answer)
    init(places, site, InitOptions(plugin=wish), owner)
    assert bool(list(site.iterdir())) is written
    assert len(owner.questions if owner else []) == asked


def test_a_file_in_place_of_our_folder_is_refused(places: Places) -> None:
    (places.repo / ".ouro").write_text("mine")
    with pytest.raises(ConfigError):
        init(places)
    assert (places.repo / ".ouro").read_text() == "mine"
