"""Which folders of this machine may be shown to untrusted code because a setting names them."""

from __future__ import annotations

from pathlib import Path

from ledger.places import Places

OF_THE_MACHINE = tuple(
    Path(name) for name in ("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/var")
)
HOMES = Path("/home")
KEYS = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".password-store", ".mozilla", ".thunderbird"),
    *(
        ".config/gcloud",
        ".config/gh",
        ".config/google-chrome",
        ".config/chromium",
        ".config/op",
        ".local/share/keyrings",
    ),
)
"""Below the home folder: places of keys, which are never shown."""


def forbidden_place(path: Path, places: Places, *, named_by_owner: bool) -> str | None:
    """Why ``path`` (absolute) may not be shown; None where it may.

    ``named_by_owner``: his own settings name it, not those of the repository; then folders of his home that begin with
    a dot may be shown, but for the places of keys.
    """
    real, home = path.resolve(), places.home.resolve()
    for folder in places.own_folders:
        if _touch(real, folder.resolve()):
            return f"{folder} is the daemon's own"
    if _is_at_or_above(real, places.repo.resolve()):
        return "it lies at or above the repository"
    if _is_at_or_above(real, home):
        return "it lies at or above the home folder"
    if home in real.parents:
        return _in_home(real, home, named_by_owner=named_by_owner)
    if _is_at_or_above(HOMES, real):
        return "it lies in the home folder of somebody else"
    top = next((top for top in OF_THE_MACHINE if _touch(real, top)), None)
    return None if top is None else f"{top} belongs to the machine"


def _in_home(path: Path, home: Path, *, named_by_owner: bool) -> str | None:
    for name in KEYS:
        if _touch(path, (home / name).resolve()):
            return f"keys lie in {home / name}"
    first = path.relative_to(home).parts[0]
    if first.startswith(".") and not named_by_owner:
        return f"{home / first} holds settings, and the repository's own settings name it"
    return None


def _is_at_or_above(path: Path, folder: Path) -> bool:
    return path == folder or path in folder.parents


def _touch(one: Path, other: Path) -> bool:
    """One lies at, above or below the other."""
    return _is_at_or_above(one, other) or _is_at_or_above(other, one)
