"""Advice about a missing or broken sandbox, by the messages of the attempts."""

from __future__ import annotations

from collections.abc import Sequence

from tools.sandbox.types import Wall

INSTALL = (
    "Install bubblewrap: `sudo apt install bubblewrap` (Debian, Ubuntu), `sudo dnf install bubblewrap` (Fedora), "
    "`sudo pacman -S bubblewrap` (Arch), `sudo apk add bubblewrap util-linux` (Alpine)."
)
APPARMOR = (
    "On Ubuntu 24.04 AppArmor takes the rights of unprivileged user namespaces away; give bubblewrap its profile: "
    "`sudo apt install apparmor-profiles`, "
    "`sudo install -m 0644 /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/`, "
    "`sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict`. In a container, its run-time must allow user "
    "namespaces."
)
NAMESPACES_FULL = "The limit on user namespaces is reached: see /proc/sys/user/max_user_namespaces."
PROC = "The container masks /proc, so that no new one can be mounted; run it with an unmasked /proc."
NOT_HELD = "This back end should hold it: please report this line, with `bwrap --version` and `uname -r`."
BETTER = "A better back end holds it: see what is said of the sandbox above."
CHOSEN = 'bubblewrap holds it, and your settings do not allow it: set `sandbox.backend = "auto"`.'
ORDINARY_USER = "The kernel never bounds the processes of root: run the daemon as an ordinary user."
FILTER = (
    "The system-call filter holds it: the kernel has to have CONFIG_SECCOMP_FILTER, on x86_64 or aarch64. Where it "
    "has, please report this line, with `uname -rm`."
)
UPDATE = "This bubblewrap is older than 0.8: update it, it lacks options that walls are made of."
NOTHING = (
    "With no sandbox at all no code of the repository is run and nothing is committed; on a machine that may be thrown "
    "away, `sandbox.allow_unsandboxed = true` in your own settings file lifts that."
)

FILTERED = (Wall.SOCKET_FAMILIES, Wall.FILE_MARKS, Wall.SCHEDULING, Wall.KEY_RINGS, Wall.SYSTEM_CALLS)
SIGNS = (
    ("not installed", INSTALL),
    ("setting up uid map", APPARMOR),
    ("rtm_newaddr", APPARMOR),
    ("no permissions to creat", APPARMOR),
    ("operation not permitted", APPARMOR),
    ("permission denied", APPARMOR),
    ("no space left", NAMESPACES_FULL),
    ("mount proc", PROC),
    ("unknown option", UPDATE),
)


def of_wall(wall: Wall, backend: str, *, passed_over: bool) -> str:
    """Advice for a wall that ``backend`` does not hold; ``passed_over``: better ones were tried and do not work."""
    if wall is Wall.PROCESS_LIMIT:
        return ORDINARY_USER
    if wall is Wall.SCRATCH_LIMIT and backend == "bwrap-compat":
        return UPDATE
    if wall in FILTERED and backend != "none":
        return FILTER
    if passed_over:
        return BETTER
    return CHOSEN if backend == "landlock" else NOT_HELD


def remedy(tried: Sequence[tuple[str, str]]) -> str:
    """Advice for the back ends that were passed over; empty when none was."""
    advice: dict[str, None] = {}
    for name, reason in tried:
        if name.startswith("bwrap"):
            found = next((text for sign, text in SIGNS if sign in reason.lower()), "")
            if found:
                advice[found] = None
    return " ".join(advice)


def no_sandbox(tried: Sequence[tuple[str, str]]) -> str:
    """Advice when nothing at all can confine."""
    return f"{remedy(tried) or INSTALL} {NOTHING}"
