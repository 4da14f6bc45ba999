"""Decides which folders named in settings may be mounted in the sandbox, where untrusted code can read them."""

from __future__ import annotations

from pathlib import Path

from ledger.places import Places

SYSTEM_FOLDERS = tuple(
    Path(name) for name in ("/boot", "/dev", "/etc", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/var")
)
HOMES = Path("/home")
SECRET_FOLDERS = (
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
"""Places of keys and passwords below the home folder, which are never mounted."""


def forbidden_place(path: Path, places: Places, *, named_by_owner: bool) -> str | None:
    """Why ``path`` (absolute) may not be mounted; None when it may be.

    ``named_by_owner``: the owner's settings name it, not the repository's; then dot folders of the home folder are
    allowed, except those of :data:`SECRET_FOLDERS`.
    """
    real, home = path.resolve(), places.home.resolve()
    for folder in places.own_folders:
        if _overlap(real, folder.resolve()):
            return f"{folder} is the daemon's own"
    if _is_at_or_above(real, places.repo.resolve()):
        return "it lies at or above the repository"
    if _is_at_or_above(real, home):
        return "it lies at or above the home folder"
    if home in real.parents:
        return _in_home(real, home, named_by_owner=named_by_owner)
    if _is_at_or_above(HOMES, real):
        return "it lies in the home folder of another user"
    top = next((top for top in SYSTEM_FOLDERS if _overlap(real, top)), None)
    return None if top is None else f"{top} belongs to the system"


def _in_home(path: Path, home: Path, *, named_by_owner: bool) -> str | None:
    for name in SECRET_FOLDERS:
        if _overlap(path, (home / name).resolve()):
            return f"{home / name} holds keys"
    first = path.relative_to(home).parts[0]
    if first.startswith(".") and not named_by_owner:
        return f"{home / first} holds settings, and the repository's own settings name it"
    return None


def _is_at_or_above(path: Path, folder: Path) -> bool:
    return path == folder or path in folder.parents


def _overlap(one: Path, other: Path) -> bool:
    """Whether the paths are equal or one is above the other."""
    return _is_at_or_above(one, other) or _is_at_or_above(other, one)
