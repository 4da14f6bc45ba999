"""The systemd user unit of one repository: rendered, written, enabled."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ledger.errors import ConfigError
from ledger.places import Places

TEMPLATE = "ouroboros.service"
_MANAGER_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Manager:
    """Whether the user's service manager answers, and what it said when not."""

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
    return (Path(__file__).resolve().parents[1] / "systemd" / TEMPLATE).read_text(encoding="utf-8")


def render(places: Places, executable: Path) -> str:
    """The unit for one repository. Raises ``ConfigError`` when a path cannot stand in a unit file."""
    if "$" in str(executable):
        raise ConfigError(
            f"The command's path {executable} holds a dollar sign, which systemd cannot start.",
            remedy="Install Ouroboros under another path.",
        )
    described = "".join(c if c.isprintable() else "?" for c in places.repo.name).replace("%", "%%")
    return (
        template()
        .replace("@DESCRIPTION@", described)
        .replace("@EXEC@", quote(str(executable), dollar=False))
        .replace("@REPO@", quote(str(places.repo)))
    )


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


def manager(environ: Mapping[str, str]) -> Manager:
    """Ask the user's service manager whether it is there."""
    if shutil.which("systemctl", path=environ.get("PATH")) is None:
        return Manager(False, "systemctl is not installed")
    done = _systemctl(environ, "show-environment")
    return Manager(done.returncode == 0, _last(done))


def install(places: Places, text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Write the unit and start it now and at every login; one sentence a step."""
    path = unit_path(places)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    said = [f"wrote {path}"]
    state = manager(environ)
    if not state.works:
        return (*said, f"your service manager does not answer ({state.said}): the unit waits for your next login")
    _must(environ, "daemon-reload")
    _must(environ, "enable", "--now", unit_name(places))
    return (*said, f"{unit_name(places)} runs now and at every login; `loginctl enable-linger` lets it run without one")


def uninstall(places: Places, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Stop and forget the unit; one sentence a step, none when there was nothing."""
    path = unit_path(places)
    if not path.exists():
        return ()
    works = manager(environ).works
    if works:
        _systemctl(environ, "disable", "--now", unit_name(places))
    path.unlink()
    if works:
        _must(environ, "daemon-reload")
    return (f"removed {path}",)


def state(places: Places, environ: Mapping[str, str]) -> str:
    """What the manager says of the unit: active, inactive, failed ...; or why it cannot be asked."""
    if not unit_path(places).exists():
        return "not installed"
    asked = manager(environ)
    if not asked.works:
        return f"installed, but your service manager does not answer ({asked.said})"
    return _systemctl(environ, "is-active", unit_name(places)).stdout.strip() or "unknown"


def _must(environ: Mapping[str, str], *args: str) -> None:
    done = _systemctl(environ, *args)
    if done.returncode:
        raise ConfigError(
            f"`systemctl --user {' '.join(args)}` failed: {_last(done)}.",
            remedy=f"`journalctl --user -u '{args[-1]}'` may say why.",
        )


def _systemctl(environ: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    argv = ["systemctl", "--user", *args]
    try:
        return subprocess.run(
            argv, env=dict(environ), capture_output=True, text=True, timeout=_MANAGER_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "", "it does not answer")


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
