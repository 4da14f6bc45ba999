"""The file system as code inside sees it: host paths, their order, and folders that are hidden again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ledger.errors import SandboxError
from tools.sandbox.types import Mount
from tools.whereabouts import Relation, Spot, Survey, is_folder

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
"""Programs and libraries, read-only. Anything else of the host is visible through mounts only."""

ETC = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "passwd", "group", "nsswitch.conf", "hosts"),
    *("host.conf", "resolv.conf", "protocols", "services", "localtime", "timezone", "locale.alias", "locale.conf"),
    *("mime.types", "fonts", "ca-certificates", "terminfo", "login.defs", "os-release", "debian_version"),
    *("inputrc", "magic", "magic.mime", "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "pki/ca-trust"),
    *("pki/tls/certs", "pki/tls/cert.pem", "pki/tls/openssl.cnf"),
)
"""Files of /etc that programs need and that hold no secret. All of /etc would show root the host's keys, all of ``ssl``
and ``pki`` the private ones of its services."""

CPU = Path("/sys/devices/system/cpu")  # how many there are

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = Path("/home/sandbox")
KERNEL_TREES = (Path("/proc"), Path("/dev"), Path("/sys"))


class TreeStep(StrEnum):
    """Steps of building the tree, as bubblewrap's options."""

    READ_ONLY = "--ro-bind"
    WRITABLE = "--bind"
    LINK = "--symlink"
    EMPTY = "--tmpfs"
    SEAL = "--remount-ro"


@dataclass(frozen=True, slots=True)
class Placed:
    """One step: put ``source`` (host path, or text of a link) at ``target``."""

    step: TreeStep
    source: str
    target: Path


def base_environment(*, home: Path, tmp: Path) -> dict[str, str]:
    """The variables that code inside starts with; nothing comes from the daemon's own."""
    return {
        "PATH": SEARCH_PATH,
        "HOME": str(home),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_NOSYSTEM": "1",  # git fails where /etc/gitconfig exists and may not be read
    }


def system_steps() -> tuple[Placed, ...]:
    """The host's programs, libraries and harmless configuration."""
    found: list[Placed] = []
    for name in SYSTEM:
        path = Path(name)
        if path.is_symlink():
            found.append(Placed(TreeStep.LINK, str(path.readlink()), path))
        elif path.is_dir():
            found.append(Placed(TreeStep.READ_ONLY, name, path))
    found += (Placed(TreeStep.READ_ONLY, str(path), path) for path in configuration())
    return tuple(found)


def configuration() -> tuple[Path, ...]:
    """The existing files of :data:`ETC`, and the folder with the number of processors."""
    etc = Path("/etc")
    wanted = (*(etc / name for name in ETC), *sorted(etc.glob("python3*")), CPU)
    return tuple(path for path in wanted if path.exists())


def extra_mounts(paths: Iterable[str]) -> tuple[Mount, ...]:
    """Read-only mounts at their own place, of those ``paths`` that exist."""
    return tuple(Mount(source=Path(p), target=Path(p)) for p in paths if Path(p).exists())


def mount_steps(mounts: Iterable[Mount], hidden: Iterable[Path]) -> tuple[Placed, ...]:
    """``mounts`` in the order of their depth, with the daemon's own folders hidden where one would show them.

    Raises ``SandboxError`` for a target that would replace the kernel's trees or the root, a source that is missing,
    and a target whose way leads through a symbolic link of a writable mount (code inside could have laid it).
    """
    wanted = tuple(mounts)
    for mount in wanted:
        _check(mount)
        _refuse_links(mount, wanted)
    empty = _shown(wanted, hidden)
    steps = [
        Placed(TreeStep.EMPTY, "", inside) for inside in empty
    ]  # first, so that a mount at the same place covers it
    for mount in wanted:
        step = TreeStep.WRITABLE if mount.writable else TreeStep.READ_ONLY
        steps.append(Placed(step, str(mount.source), mount.target))
    steps.sort(key=lambda placed: len(placed.target.parts))  # stable: of two at one place the later is seen
    # sealed last: a mount below an emptied folder needs a place made in it
    return (*steps, *(Placed(TreeStep.SEAL, "", inside) for inside in empty))


def find_exposed(paths: Iterable[Path], hidden: Iterable[Path]) -> tuple[Path, ...]:
    """Those ``hidden`` folders that lie below one of ``paths``, under whatever name."""
    survey = Survey()
    tops = survey.spots(paths)
    return tuple(f for f in hidden if any(top.relation(survey.spot(f)) is Relation.ABOVE for top in tops))


def refuse_hidden(mounts: Iterable[Mount], hidden: Iterable[Path]) -> None:
    """Raises ``SandboxError`` for a mount of a hidden folder, or of something in one that is not ours for this job."""
    survey = Survey()
    folders = survey.spots(hidden)
    for mount in mounts:
        _refuse(mount, survey.spot(mount.source), folders)


def _refuse(mount: Mount, at: Spot, hidden: Iterable[Spot]) -> None:
    for folder in hidden:
        lies = at.relation(folder)
        if lies is Relation.SAME or (lies is Relation.BELOW and not mount.ours):
            where = "is" if lies is Relation.SAME else "lies in"
            raise SandboxError(
                f"{str(mount.source)!r} is not shown to untrusted code: it {where} {folder.real!r}, which is the "
                "daemon's own.",
                remedy="Keep what tests need elsewhere, and name that place instead.",
            )


def _check(mount: Mount) -> None:
    target = mount.target
    if not target.is_absolute() or ".." in target.parts or target == Path("/"):
        raise SandboxError(f"{str(target)!r} cannot be a place inside the sandbox.", remedy="Give an absolute path.")
    if any(target == tree or tree in target.parents for tree in KERNEL_TREES):
        raise SandboxError(f"{str(target)!r} belongs to the kernel inside the sandbox.", remedy="Mount it elsewhere.")
    if not _reachable(mount.source):
        raise SandboxError(
            f"{str(mount.source)!r}, which the sandbox is to show, does not exist or cannot be read.",
            remedy="Check the path and its permissions.",
        )


def _reachable(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return False


def _refuse_links(mount: Mount, mounts: tuple[Mount, ...]) -> None:
    for outer in mounts:
        if not outer.writable or outer.target not in mount.target.parents:
            continue
        here = outer.source
        for part in mount.target.relative_to(outer.target).parts:
            here = here / part
            if here.is_symlink():
                raise SandboxError(
                    f"{str(mount.target)!r} cannot be mounted: {str(here)!r} is a symbolic link.",
                    remedy="Remove the link from the repository, or the mount from the settings.",
                )


def _shown(mounts: tuple[Mount, ...], hidden: Iterable[Path]) -> tuple[Path, ...]:
    """Where inside a hidden folder would appear, because a mount shows a folder above it.

    Raises ``SandboxError`` where a mount *is* one, or something in one.
    """
    system = (Mount(source=Path(p), target=Path(p)) for p in SYSTEM if not Path(p).is_symlink())
    visible = (*mounts, *system)
    survey = Survey()
    folders = survey.spots(folder for folder in hidden if is_folder(folder))
    found: dict[Path, None] = {}
    for mount in visible:
        at = survey.spot(mount.source)
        _refuse(mount, at, folders)
        for folder in folders:
            if at.relation(folder) is not Relation.ABOVE:
                continue
            inside = mount.target / at.path_to(folder)
            over = [m.target for m in visible if m.target == inside or m.target in inside.parents]
            if max(over, key=lambda t: len(t.parts)) == mount.target:  # else a deeper mount covers it
                found[inside] = None
    return tuple(found)
