"""What the attacks on git share: a repository with a submodule, a trap in its place, and the back end to lay it in."""

from __future__ import annotations

from pathlib import Path

from ledger.places import Places
from tests.cage.walls import Unable
from tests.repos import git, host_env
from tools import untrusted_tree
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Sandbox
from tools.untrusted_tree import UntrustedTree

SUB = "sub"


async def box(backend: str, places: Places) -> Sandbox:
    """The back end that is asked for."""
    choice = await choose(SandboxSettings(backend=backend), places, host_env())  # type: ignore[arg-type]  # a Literal
    if choice.sandbox is None or not choice.sandbox.name.startswith(backend):
        raise Unable(f"{backend} does not hold its walls here: {choice.tried}")
    return choice.sandbox


def with_submodule(repo: Path) -> str:
    """Commits an entry of a submodule that is nowhere; the commit."""
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{git(repo, 'rev-parse', 'HEAD')},{SUB}")
    git(repo, "commit", "-q", "-m", "submodule")
    return git(repo, "rev-parse", "HEAD")


def trap(canary: Path, place: str = SUB) -> str:
    """Shell that makes a repository at ``place`` whose filter touches ``canary`` when git looks at its files."""
    return (
        "unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE\n"
        f'rm -rf "{place}"; mkdir -p "{place}" && cd "{place}" || exit 9\n'
        "git init -q . && echo text > file && echo '* filter=evil' > .gitattributes && git add . || exit 9\n"
        "git -c user.name=x -c user.email=x@example.org commit -q -m x || exit 9\n"
        f"git config filter.evil.clean 'touch {canary}; cat'\n"
        f"git config core.fsmonitor 'touch {canary}.fsmonitor; true'\n"
        "sleep 0.01; echo tex2 > file; cd - >/dev/null\n"
    )


def without_the_rule() -> None:
    """Takes away in this process what keeps git out of repositories inside a tree, and nothing else."""
    looks = {"diff", "diff-files", "diff-index", "status"}
    flags = {
        verb: (*(flag for flag in flags if "submodule" not in flag), *(["--ignore-submodules=none"] * (verb in looks)))
        for verb, flags in untrusted_tree.VERBS.items()
    }
    untrusted_tree.VERBS = flags
    UntrustedTree.drop_gitlinks = lambda self: None  # type: ignore[method-assign]
    UntrustedTree.forget = lambda self, paths: None  # type: ignore[method-assign]


def with_filters() -> None:
    """Takes away in this process what keeps filters from being run over a tree, and nothing else."""
    untrusted_tree.Programs.argv = ()  # type: ignore[method-assign,assignment]
