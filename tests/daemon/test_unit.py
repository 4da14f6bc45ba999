from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.lifecycle.unit import install, quote, render, state, template, uninstall, unit_name, unit_path
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import make_places, make_repo

ODD = "re po 'x' \"y\" %h $HOME ü\\n;"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / ODD))


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("/plain", '"/plain"'),
        ("a b", '"a b"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$$HOME"'),
        ("a\nb", '"a\\x0ab"'),
        ("ü", '"\\xc3\\xbc"'),
    ],
)
def test_words_of_a_command(word: str, quoted: str) -> None:
    assert quote(word) == quoted


def test_the_unit_names_command_and_repository(places: Places) -> None:
    text = render(places, Path("/opt/ouro dir/ouro"))
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart=").replace("\\xc3\\xbc", "ü"))
    assert words[0] == "/opt/ouro dir/ouro"
    assert words[1:3] == ["--repo", str(places.repo).replace("%", "%%").replace("$", "$$")]
    assert words[3:] == ["run"]
    assert not [mark for mark in ("@EXEC@", "@REPO@", "@DESCRIPTION@") if mark in text]


def test_a_name_can_neither_swallow_the_next_line_nor_look_like_a_place(tmp_path: Path) -> None:
    places = make_places(tmp_path / "ours", make_repo(tmp_path / "x @EXEC@ @REPO@\\"))
    lines = render(places, Path("/opt/@REPO@/ouro")).splitlines()
    assert "Description=Ouroboros for x @EXEC@ @REPO@?" in lines
    assert f'ExecStart="/opt/@REPO@/ouro" --repo "{places.repo}\\" run' in lines


ROWS = """Type=notify
WatchdogSec=60
Restart=on-failure
RestartForceExitStatus=75
KillMode=mixed
MemoryMax=6G
TasksMax=1024
NoNewPrivileges=yes"""


@pytest.mark.parametrize("row", ROWS.splitlines())
def test_the_unit_has(row: str) -> None:
    assert row in template().splitlines()


@pytest.mark.parametrize(
    "name",
    ["RuntimeDirectory", "StateDirectory", "RestrictNamespaces", "MemoryDenyWriteExecute", "CapabilityBoundingSet"],
)
def test_what_would_break_the_sandbox_or_a_neighbour_is_not_in_the_unit(name: str) -> None:
    assert not any(line.startswith(name) for line in template().splitlines())


def test_a_command_that_systemd_cannot_start_is_refused(places: Places) -> None:
    with pytest.raises(ConfigError):
        render(places, Path("/opt/$x/ouro"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(places: Places, tmp_path: Path) -> None:
    (tmp_path / "ouro").write_text("#!/bin/sh\n")
    (tmp_path / "ouro").chmod(0o755)
    unit = tmp_path / "ouroboros@0123456789ab.service"
    unit.write_text(render(places, tmp_path / "ouro"))
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(runtime), "HOME": str(tmp_path)}
    argv = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


MANAGER = """#!/bin/sh
echo "$@" >> {log}
case "$2" in show-environment) exit {code};; is-active) echo active;; esac
"""


@pytest.fixture
def manager(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """A program named systemctl that notes what it is asked."""
    folder, log = tmp_path / "bin", tmp_path / "asked"
    folder.mkdir()
    (folder / "systemctl").write_text(MANAGER.format(log=shlex.quote(str(log)), code=0))
    (folder / "systemctl").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}, log


def test_install_and_uninstall(places: Places, manager: tuple[dict[str, str], Path]) -> None:
    environ, log = manager
    assert state(places, environ) == "not installed"
    install(places, "[Unit]\n", environ)
    assert unit_path(places).read_text() == "[Unit]\n"
    assert state(places, environ) == "active"
    assert uninstall(places, environ) and not unit_path(places).exists()
    assert uninstall(places, environ) == ()
    asked = log.read_text().splitlines()
    assert [line for line in asked if "show-environment" not in line] == [
        "--user daemon-reload",
        f"--user enable --now {unit_name(places)}",
        f"--user is-active {unit_name(places)}",
        f"--user disable --now {unit_name(places)}",
        "--user daemon-reload",
    ]


def test_without_a_user_manager_the_unit_waits_and_that_is_said(places: Places, tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path)}
    said = install(places, "[Unit]\n", environ)
    assert "does not answer" in said[-1] and unit_path(places).exists()
    assert "does not answer" in state(places, environ)


def test_two_repositories_have_two_units(places: Places) -> None:
    assert unit_path(places) != unit_path(replace(places, repo_id="0" * 12))


SEPARATE = re.compile(
    r"Private\w+|Protect\w+|Dynamic\w+|\w+Paths|Root\w*|Temporary\w+|Bind\w+|Mount\w+|Join\w+|\w*Directory|User\w+"
)
"""Names of options by which systemd puts a service in namespaces of its own."""


def test_the_service_lives_in_the_namespaces_of_its_owner(places: Places) -> None:
    """Else the daemon would refuse the commands that its owner types outside."""
    lines = render(places, Path("/opt/ouro")).splitlines()
    asked = {line.partition("=")[0] for line in lines if "=" in line and not line.startswith("#")}
    assert "NoNewPrivileges" in asked
    assert not {name for name in asked if SEPARATE.fullmatch(name)}
