"""The control token: a secret in the state folder. Who shows it to the control socket can read that folder.

Every boot of a daemon makes a new one: an old one, for example in a backup, is worthless. What lies in its place and is
not a private file of this user is never read or replaced, but named.
"""

from __future__ import annotations

import errno
import hmac
import os
import re
import stat
from pathlib import Path

from ledger.errors import ConfigError
from ledger.paths import naming
from ledger.places import Places

BYTES = 32
MODE = 0o600
_FORM = re.compile(rb"[0-9a-f]{64}\n?")
_KINDS = ((stat.S_ISLNK, "it is a link"), (stat.S_ISDIR, "it is a folder"), (stat.S_ISFIFO, "it is a pipe"))


class Token:
    """The secret as a value that never prints itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def matches(self, shown: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self._text.encode(), shown.encode("utf-8", errors="replace"))

    def reveal(self) -> str:
        """The secret itself, for the one line that shows it to the daemon."""
        return self._text

    def __repr__(self) -> str:
        return "Token(hidden)"


def renew(places: Places) -> Token:
    """Put a new token in place of the old one, if any; the caller holds the instance lock.

    Raises ``ConfigError`` where something else than a private file of this user lies there.
    """
    path = places.token
    _check(path)
    made = _random()
    fresh = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        _write_new(fresh, made)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(
            f"The control token {path} cannot be written: {error.strerror}.",
            remedy="The state folder must be writable, on a disk that is not full.",
        ) from error
    return made


def keep(places: Places) -> bool:
    """Make one where there is none; True when that was done. Raises ``ConfigError`` as :func:`renew` does."""
    if _check(places.token):
        return False
    try:
        _write_new(places.token, _random())
    except FileExistsError:
        return False  # a daemon that starts at this moment has made one
    return True


def read(path: Path) -> Token | None:
    """The token that lies at ``path``; None where there is none. Raises ``ConfigError`` where it cannot be trusted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        _check(path)
        raise _untrusted_error(path, "it is a link" if error.errno == errno.ELOOP else str(error.strerror)) from error
    try:
        if why := _problem(os.fstat(descriptor)):
            raise _untrusted_error(path, why)
        text = os.read(descriptor, 2 * BYTES + 2)
    finally:
        os.close(descriptor)
    if not _FORM.fullmatch(text):
        raise _untrusted_error(path, "it does not hold a token")
    return Token(text.decode("ascii").strip())


def own_state(places: Places) -> None:
    """Check, before an answer without a daemon, that the state folder belongs to this user alone.

    Raises ``ConfigError`` where the folder, or the token in it, is a link, another user's or open to others.
    """
    try:
        found = places.state.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        why = "it is not a folder"
    elif found.st_uid != os.geteuid():
        why = "it belongs to another user"
    elif found.st_mode & 0o077:
        why = f"others may use it (mode {stat.S_IMODE(found.st_mode):04o})"
    else:
        _check(places.token)
        return
    raise ConfigError(
        f"The state folder {places.state} cannot be trusted with an answer: {why}.",
        remedy=f"Look at what is in it; if it is yours: chmod 700 '{places.state}'",
    )


def _random() -> Token:
    return Token(os.urandom(BYTES).hex())


def _write_new(path: Path, token: Token) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    with naming(path), os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, MODE)  # whatever the umask is
        file.write(token.reveal().encode("ascii") + b"\n")


def _check(path: Path) -> bool:
    """Whether a token lies there. Raises where something else does."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _untrusted_error(path, str(error.strerror)) from error
    if why := _problem(found):
        raise _untrusted_error(path, why)
    return True


def _problem(found: os.stat_result) -> str:
    """Pure: why a file cannot hold the token; empty when it can."""
    for is_kind, why in _KINDS:
        if is_kind(found.st_mode):
            return why
    if not stat.S_ISREG(found.st_mode):
        return "it is not a plain file"
    if found.st_uid != os.geteuid():
        return "it belongs to another user"
    if stat.S_IMODE(found.st_mode) != MODE:
        return f"its mode is {stat.S_IMODE(found.st_mode):04o} instead of 0600"
    if found.st_nlink != 1:
        return "it has a second name (a hard link)"
    return ""


def _untrusted_error(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The control token {path} cannot be trusted: {why}.",
        remedy="Find out who put it there, remove it, and restart the daemon, which makes a new one.",
    )
