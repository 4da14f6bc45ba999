"""Where everything of one repository lies: asked of git once, then a value. The environment is handed in."""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from daemon.settings.checkout import checkout_of
from ledger.errors import ConfigError, ProgramMissing, RepositoryError
from ledger.faults import ODD, REMEDIES
from ledger.ids import sha256_hex
from ledger.paths import other_kind
from ledger.places import HostEnv, Places
from ledger.programs import folder_identities, trusted_path
from tools.git import ask_git

NAME = "ouroboros"
SHARED = Path("/tmp")  # where the socket lies on machines that give users no folder for such things
SOCKET_PATH_LIMIT = 107  # bytes of sun_path without its final NUL
_QUESTION_TIMEOUT_S = 20.0
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_CODE = re.compile(
    r"PYTHON.*|PERL5.*|PERLLIB|RUBYLIB|RUBYOPT|NODE_OPTIONS|NODE_PATH|BASH_ENV|ENV|GCONV_PATH|LD_PRELOAD|LD_AUDIT"
)
"""Variables by which an interpreter or the loader takes code from a folder."""
_LIBRARIES = frozenset({"LD_LIBRARY_PATH"})
_OURS = ("GIT_", "OURO_", "_OURO_", "NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_")


def host_env(environ: Mapping[str, str], repository: Iterable[Path]) -> HostEnv:
    """The environment for children outside the sandbox: no git redirection, no setting of ours, no secret.

    Nothing in it makes a program take code from ``repository``, the folders of the repository.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_OURS) and not _CODE.fullmatch(name) and not _SECRET.search(name)
    }
    path = kept.setdefault("PATH", os.defpath)
    return beside(HostEnv(variables=kept, path=path), repository)


def beside(env: HostEnv, repository: Iterable[Path]) -> HostEnv:
    """The same environment where ``repository`` is not to bring in programs or libraries, either."""
    held = env.repository | folder_identities(repository)
    path, left_out = trusted_path(env.path, held)
    path = path or trusted_path(os.defpath, held)[0] or os.devnull  # an empty one means the current folder
    variables = {**env.variables, "PATH": path}
    for name in _LIBRARIES & variables.keys():
        variables[name] = trusted_path(variables[name], held)[0]
        if not variables[name]:  # an empty list means the current folder
            del variables[name]
    return replace(env, variables=variables, path=path, repository=held, left_out=(*env.left_out, *left_out))


def environment_for(path: Path, environ: Mapping[str, str]) -> HostEnv:
    """:func:`host_env` beside the repository that ``path`` lies in. Raises ``RepositoryError``."""
    return host_env(environ, checkout_of(path, home=home_of(environ)).folders)


def places_for(path: Path, environ: Mapping[str, str]) -> Places:
    """The places of the repository that ``path`` lies in; nothing is created.

    Raises ``RepositoryError`` when there is no work tree there, ``ConfigError`` when a folder cannot be trusted.
    """
    home = home_of(environ)
    repo, git_dir, common = git_folders(path, host_env(environ, ()), home=home)
    repo_id = sha256_hex(os.fsencode(common))[:12]
    return Places(
        repo=repo,
        git_dir=git_dir,
        common_dir=common,
        repo_id=repo_id,
        state=_xdg(environ, "XDG_STATE_HOME", home / ".local" / "state") / NAME / repo_id,
        cache=user_cache(environ),
        config=_xdg(environ, "XDG_CONFIG_HOME", home / ".config") / NAME,
        runtime=_runtime(environ, repo_id),
        home=home,
    )


def user_cache(environ: Mapping[str, str]) -> Path:
    """The cache folder of this user, shared by all repositories."""
    return _xdg(environ, "XDG_CACHE_HOME", home_of(environ) / ".cache") / NAME


def make_folders(places: Places) -> None:
    """Create the folders of ours, private to the owner. Raises ``ConfigError`` when one belongs to somebody else."""
    ours = (places.state, places.cache, places.runtime, places.journal, places.keys, places.spool, places.models)
    for folder in ours:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            kind = other_kind(folder)
            why = f"{kind} lies there" if kind and kind != "a folder" else error.strerror
            raise ConfigError(
                f"The folder {folder} cannot be made: {why}.", remedy=REMEDIES.get(error.errno or 0, ODD)
            ) from error
    for folder in ours[:-1]:  # models are large: whoever likes lays a link to another disk
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise ConfigError(f"{folder} is not a folder of this user.", remedy="Move it away and start again.")
        if found.st_mode & 0o077:
            folder.chmod(0o700)


def git_folders(path: Path, env: HostEnv, *, home: Path) -> tuple[Path, Path, Path]:
    """Top of the checkout, its own git folder and the shared one, real; blocks. Raises ``RepositoryError``.

    The top is where ``.git`` was found: settings that name another folder (``core.worktree``) came with the repository.
    """
    if not path.is_dir():
        raise RepositoryError(f"{path} is not a folder.", remedy="Name the repository with --repo PATH.")
    checkout = checkout_of(path, home=home)
    env = beside(env, checkout.folders)
    answer = _git(path, env, "--is-bare-repository", "--is-inside-work-tree", "--absolute-git-dir", "--git-common-dir")
    if len(answer) != 4:  # git has no other separator for its answers
        raise RepositoryError(
            f"A path of the repository at {path} holds a line break.", remedy="Rename that folder, or clone again."
        )
    bare, inside, git_dir, common = answer
    if bare == "true":
        raise RepositoryError(
            f"{path} is a bare repository: it has no files to watch.", remedy="Name a checkout of it with --repo PATH."
        )
    named = _git(path, env, "--show-toplevel")[0] if inside == "true" else ""
    if checkout.top is not None and os.path.realpath(named or "/") != str(checkout.top):
        raise RepositoryError(
            f"The repository at {checkout.top} names another folder as its work tree.",
            remedy=f"`git -C {checkout.top} config --unset core.worktree` takes that back.",
        )
    if inside != "true":
        raise RepositoryError(f"{path} lies inside a git folder.", remedy="Name the checkout with --repo PATH.")
    # --git-common-dir may be relative to where git was asked
    return tuple(Path(os.path.realpath(path / part)) for part in (named, git_dir, common))  # type: ignore[return-value]  # three in, three out


def _git(path: Path, env: HostEnv, *questions: str) -> list[str]:
    system = {"GIT_CONFIG_NOSYSTEM": "0"}  # the machine's settings say, too, whose repositories git may read
    try:
        done = ask_git(env, "rev-parse", *questions, cwd=path, timeout_s=_QUESTION_TIMEOUT_S, extra_env=system)
    except ProgramMissing as error:
        raise RepositoryError(f"git cannot be started: {error.message}", remedy=error.remedy) from error
    except TimeoutError as error:
        raise RepositoryError(f"git does not answer in {path}.", remedy="Look for a slow or stuck disk.") from error
    if done.code:
        raise _why_not(path, os.fsdecode(done.err))
    return os.fsdecode(done.out).removesuffix("\n").split("\n")


def _why_not(path: Path, said: str) -> RepositoryError:
    if "dubious ownership" in said:
        return RepositoryError(
            f"The repository at {path} belongs to another user, so git refuses to read it.",
            remedy=f"If you trust it: git config --global --add safe.directory {path}",
        )
    if "not a git repository" in said:
        return RepositoryError(
            f"{path} is not inside a git repository.", remedy="Go to one, or name it with --repo PATH."
        )
    last = (said.strip().splitlines() or ["it gave no reason"])[-1]
    return RepositoryError(f"git cannot read the repository at {path}: {last}.", remedy="`git status` there says more.")


def home_of(environ: Mapping[str, str]) -> Path:
    """The owner's home folder."""
    named = environ.get("HOME", "")
    return Path(named) if named.startswith("/") else Path(pwd.getpwuid(os.getuid()).pw_dir)


def _xdg(environ: Mapping[str, str], name: str, fallback: Path) -> Path:
    """XDG: a relative path in such a variable counts as unset."""
    named = environ.get(name, "")
    return Path(named) if named.startswith("/") else fallback


def _runtime(environ: Mapping[str, str], repo_id: str) -> Path:
    """The first folder for the socket that is ours alone and short enough for a socket path.

    Where one of that name was laid by somebody else, nothing else is taken instead: who did so is to be found out.
    """
    uid = os.getuid()
    named = environ.get("XDG_RUNTIME_DIR", "")
    parents = [Path(named)] if named.startswith("/") else []
    parents.append(Path("/run/user") / str(uid))
    candidates = [parent / NAME for parent in dict.fromkeys(parents) if _problem(parent, must_exist=True) is None]
    candidates.append(SHARED / f"{NAME}-{uid}")
    problems = []
    for folder in candidates:
        length = len(os.fsencode(folder / f"{repo_id}.sock"))
        if length > SOCKET_PATH_LIMIT:
            problems.append(f"{folder}: a socket path of {length} bytes is too long")
            continue
        problem = _problem(folder) or (_shared_problem(folder.parent) if folder.parent == SHARED else None)
        if problem is None:
            return folder
        problems.append(f"{folder}: {problem}")
        break
    raise ConfigError(
        f"No folder for the control socket can be trusted ({'; '.join(problems)}).",
        remedy="Remove what is not yours there, or set XDG_RUNTIME_DIR to a short path that only you can write to.",
    )


def _shared_problem(folder: Path) -> str | None:
    """Why nothing of ours may lie in a folder that everybody can write to; None when it may."""
    try:
        found = folder.stat()
    except OSError as error:
        return f"{folder}: {error.strerror}"
    if found.st_uid not in (0, os.getuid()):
        return f"{folder} belongs to another user"
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        return f"others can move what lies in {folder} (no sticky bit)"
    return None


def _problem(folder: Path, *, must_exist: bool = False) -> str | None:
    """Why ``folder`` must not hold a socket of ours; None when it may (also when it can still be made)."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return "it does not exist" if must_exist else None
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a folder"
    if found.st_uid != os.getuid():
        return "it belongs to another user"
    if found.st_mode & 0o022:
        return "others can write to it"
    return None
