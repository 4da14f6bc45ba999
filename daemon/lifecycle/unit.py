"""The systemd user unit of one repository: rendered, written, enabled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from daemon.settings.places import environment_for
from ledger.children import ChildResult, ask
from ledger.errors import ConfigError, ProgramMissing
from ledger.places import HostEnv, Places
from ledger.programs import find_program

TEMPLATE = "ouroboros.service"
_MANAGER_TIMEOUT_S = 20.0
_PLACE = re.compile("@(DESCRIPTION|EXEC|REPO)@")


@dataclass(frozen=True, slots=True)
class Manager:
    """Whether the user's service manager answers, and its output when not."""

    works: bool
    said: str = ""


def unit_name(places: Places) -> str:
    return f"ouroboros@{places.repo_id}.service"


def unit_path(places: Places) -> Path:
    """Where user units lie: beside the owner's settings folder."""
    return places.config.parent / "systemd" / "user" / unit_name(places)


def template() -> str:
    """The unit as it is shipped: inside an installed package, or in the source tree beside it."""
    packaged = resources.files("daemon.data").joinpath(TEMPLATE)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).resolve().parents[2] / "systemd" / TEMPLATE).read_text(encoding="utf-8")


def render(places: Places, executable: Path) -> str:
    """The unit for one repository. Raises ``ConfigError`` for a path that a unit file cannot hold."""
    if "$" in str(executable):
        raise ConfigError(
            f"The command's path {executable} holds a dollar sign, which systemd cannot start.",
            remedy="Install Ouroboros under another path.",
        )
    described = "".join(c if c.isprintable() and c != "\\" else "?" for c in places.repo.name).replace("%", "%%")
    words = {"DESCRIPTION": described, "EXEC": quote(str(executable), dollar=False), "REPO": quote(str(places.repo))}
    return _PLACE.sub(lambda place: words[place[1]], template())  # in one pass: a path may look like a place


def quote(word: str, *, dollar: bool = True) -> str:
    """One word of an ``ExecStart`` line: quoted, C-escaped, with specifiers and variables switched off."""
    out = []
    for byte in word.encode("utf-8", errors="surrogateescape"):
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif byte < 0x20 or byte >= 0x7F:
            out.append(f"\\x{byte:02x}")
        else:
            out.append({"%": "%%", "$": "$$" if dollar else "$"}.get(char, char))
    return '"' + "".join(out) + '"'


def manager(env: HostEnv) -> Manager:
    """Ask the user's service manager whether it is there."""
    try:
        done = _systemctl(env, "show-environment")
    except ProgramMissing as error:
        return Manager(False, error.message.rstrip(".") if error.refused else "systemctl is not installed")
    return Manager(done.code == 0, _last(done))


def install(places: Places, text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Write the unit and start it now and at every login; one sentence a step."""
    path = unit_path(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    said = [f"wrote {path}"]
    env = environment_for(places.repo, environ)
    state = manager(env)
    if not state.works:
        return (*said, f"your service manager does not answer ({state.said}): the unit waits for your next login")
    _must(env, "daemon-reload")
    _must(env, "enable", "--now", unit_name(places))
    return (*said, f"{unit_name(places)} runs now and at every login; `loginctl enable-linger` lets it run without one")


def uninstall(places: Places, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Stop and forget the unit; one sentence a step, none when there was nothing."""
    path = unit_path(places)
    if not path.exists():
        return ()
    env = environment_for(places.repo, environ)
    works = manager(env).works
    if works:
        _systemctl(env, "disable", "--now", unit_name(places))
    path.unlink()
    if works:
        _must(env, "daemon-reload")
    return (f"removed {path}",)


def state(places: Places, environ: Mapping[str, str]) -> str:
    """State of the unit: active, inactive, failed ...; or why the manager cannot be reached."""
    if not unit_path(places).exists():
        return "not installed"
    env = environment_for(places.repo, environ)
    asked = manager(env)
    if not asked.works:
        return f"installed, but your service manager does not answer ({asked.said})"
    return _systemctl(env, "is-active", unit_name(places)).text or "unknown"


def _must(env: HostEnv, *args: str) -> None:
    done = _systemctl(env, *args)
    if done.code:
        raise ConfigError(
            f"`systemctl --user {' '.join(args)}` failed: {_last(done)}.",
            remedy=f"`journalctl --user -u '{args[-1]}'` may say why.",
        )


def _systemctl(env: HostEnv, *args: str) -> ChildResult:
    argv = (str(find_program("systemctl", env)), "--user", *args)
    try:
        return ask(argv, cwd=Path("/"), env=env.variables, timeout_s=_MANAGER_TIMEOUT_S)
    except TimeoutError:
        return ChildResult(1, b"", b"it does not answer")


def _last(done: ChildResult) -> str:
    return (done.said.splitlines() or ["no reason given"])[-1].rstrip(".")
