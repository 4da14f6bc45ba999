"""Hostile repositories, made of real files: each function adds one kind of trap to a repository with a broken test."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cage.hostile_repositories.payload import code, shell
from tests.cage.outside import Outside
from tests.repos import git, make_repo, write

HOOKS = (
    "applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg",
    "commit-msg", "post-commit", "pre-rebase", "post-checkout", "post-merge", "pre-push", "pre-receive", "update",
    "proc-receive", "post-receive", "post-update", "reference-transaction", "push-to-checkout", "pre-auto-gc",
    "post-rewrite", "sendemail-validate", "fsmonitor-watchman", "post-index-change",
)  # fmt: skip


@dataclass(frozen=True)
class Ground:
    """The repository, its surroundings, and what of the daemon there is to attack."""

    repo: Path
    world: Outside
    sockets: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()

    def python(self, name: str) -> str:
        return code(self.world, name, sockets=self.sockets, tokens=self.tokens)

    def shell(self, name: str) -> str:
        return shell(self.world, name)


def links(ground: Ground) -> None:
    """Links out of the tree: absolute, relative, in chains, to folders, to the kernel's trees."""
    repo, world = ground.repo, ground.world
    canary = world.canary
    (repo / "link_absolute.py").symlink_to(canary("link_absolute"))
    (repo / "link_relative.py").symlink_to(os.path.relpath(canary("link_relative"), repo))
    (repo / "chain_a.py").symlink_to("chain_b.py")
    (repo / "chain_b.py").symlink_to("folder_c/../chain_c.py")
    (repo / "chain_c.py").symlink_to(canary("link_chain"))
    (repo / "folder_c").mkdir()
    (repo / "folder_c/keep.txt").write_text("kept\n")
    (repo / "link_folder").symlink_to(canary("link_folder", world.base / "folder").parent)
    (repo / "link_root.py").symlink_to(f"/proc/self/root{canary('link_root')}")
    (repo / "link_environ").symlink_to("/proc/self/environ")
    (repo / "tests/link_data.txt").symlink_to(canary("link_data"))
    (repo / "loop_a").symlink_to("loop_b")
    (repo / "loop_b").symlink_to("loop_a")
    (repo / "dangling").symlink_to(world.marks / "link_dangling")


def hooks(ground: Ground) -> None:
    """Every hook of git's."""
    folder = ground.repo / ".git/hooks"
    for name in HOOKS:
        hook = folder / name
        hook.parent.mkdir(exist_ok=True)
        label = f"hook_{name.replace('-', '_')}"
        hook.write_text(f"#!/bin/sh\n{ground.shell(label)} </dev/null >/dev/null\nexit 0\n")
        hook.chmod(0o755)


def configuration(ground: Ground) -> None:
    """Settings of the repository that name programs. Set last: git itself would run some of them."""
    said = {
        "core.fsmonitor": "fsmonitor", "core.sshCommand": "ssh", "core.gitProxy": "proxy", "core.editor": "editor",
        "core.pager": "pager", "core.askPass": "askpass", "sequence.editor": "sequence",
        "credential.helper": "credential",
        "gpg.program": "gpg", "gpg.ssh.program": "gpg_ssh", "gpg.x509.program": "gpg_x509", "diff.external": "external",
        "diff.evil.command": "diff_driver", "diff.evil.textconv": "textconv", "merge.evil.driver": "merge_driver",
        "filter.evil.clean": "filter_clean", "filter.evil.smudge": "filter_smudge",
        "filter.evil.process": "filter_process",
        "pager.log": "pager_log", "pager.show": "pager_show", "interactive.diffFilter": "diff_filter",
        "core.alternateRefsCommand": "alternate_refs", "remote.origin.uploadpack": "uploadpack",
        "trailer.evil.command": "trailer", "trailer.evil.cmd": "trailer_cmd", "submodule.evil.update": "submodule",
        "uploadpack.packObjectsHook": "pack_objects", "browser.evil.cmd": "browser", "difftool.evil.cmd": "difftool",
        "alias.log": "alias_log", "alias.cat-file": "alias_cat_file", "alias.checkout-index": "alias_checkout",
    }  # fmt: skip
    for key, label in said.items():
        bang = "!" if key.startswith(("alias.", "credential.", "submodule.")) else ""
        git(ground.repo, "config", key, f"{bang}{ground.shell('config_' + label)}")
    for key, value in {
        "filter.evil.required": "true", "diff.tool": "evil", "merge.default": "evil", "log.showSignature": "true",
        "remote.origin.url": str(ground.world.base / "elsewhere"), "remote.origin.promisor": "true",
        "remote.origin.partialclonefilter": "blob:none", "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": "1", "protocol.allow": "always", "protocol.ext.allow": "always",
        "core.attributesFile": str(ground.repo / "evil.attributes"), "commit.gpgSign": "true", "tag.gpgSign": "true",
        "core.hooksPath": str(ground.repo / "evil_hooks"), "trailer.evil.ifmissing": "add", "diff.noprefix": "true",
        "diff.submodule": "log", "status.submoduleSummary": "true", "submodule.recurse": "true",
    }.items():  # fmt: skip
        git(ground.repo, "config", key, value)


def included(ground: Ground) -> None:
    """Settings in files that the repository's own names, on a condition that is met."""
    label = ground.shell
    for name, key in (("include", "include.path"), ("include_if", "includeIf.gitdir:/**.path")):
        file = ground.repo / f".git/{name}.config"
        git(ground.repo, "config", "--file", str(file), f"filter.{name}.smudge", label(f"config_{name}"))
        git(ground.repo, "config", "--file", str(file), f"filter.{name}.clean", label(f"config_{name}_clean"))
        git(ground.repo, "config", "--file", str(file), f"filter.{name}.required", "true")
        git(ground.repo, "config", key, str(file))


ATTRIBUTES = """\
*.py filter=evil diff=evil merge=evil
*.txt filter=include
*.md filter=include_if
*.dat ident working-tree-encoding=UTF-16
"""


def attributes(ground: Ground) -> None:
    """Drivers for every file; here and where the settings say that more of them are."""
    write(ground.repo, {".gitattributes": ATTRIBUTES, "evil.attributes": "* filter=evil diff=evil merge=evil\n"})
    write(ground.repo, {"notes.txt": "text\n", "README.md": "readme\n"})
    hook = ground.repo / "evil_hooks/pre-commit"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\n{ground.shell('hooks_path')} </dev/null >/dev/null\n")
    hook.chmod(0o755)


def submodules(ground: Ground) -> None:
    """Modules with urls that are commands and paths that lead away; nested repositories with settings of their own."""
    write(ground.repo, {
        ".gitmodules": (
            f'[submodule "evil"]\n\tpath = sub\n\turl = ext::sh -c {shlex.quote(ground.shell("module_url"))}\n'
            '[submodule "../../marks"]\n\tpath = ../outside\n\turl = -u./payload\n'
            f'[submodule "dash"]\n\tpath = -x\n\turl = {ground.world.base}\n'
            f"\tupdate = !{ground.shell('module_update')}\n"
        ),
    })  # fmt: skip
    nested = make_repo(
        ground.repo / "vendored/nested", {"inner.py": "x = 1\n", "tests/test_inner.py": "def test(): pass\n"}
    )
    git(nested, "config", "core.fsmonitor", ground.shell("nested_fsmonitor"))
    git(nested, "config", "filter.evil.clean", ground.shell("nested_filter"))
    (nested / "link.py").symlink_to(ground.world.canary("nested_link"))
    elsewhere = make_repo(ground.world.base / "elsewhere", {"secret.py": ground.world.secret("elsewhere") + "\n"})
    git(elsewhere, "config", "core.fsmonitor", ground.shell("git_file"))
    (ground.repo / "vendored/pointing").mkdir()
    write(ground.repo, {"vendored/pointing/.git": f"gitdir: {elsewhere}/.git\n", "vendored/pointing/a.py": "x = 1\n"})


def alternates(ground: Ground) -> None:
    """Objects of another repository, which nothing here refers to."""
    info = ground.repo / ".git/objects/info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text(f"{ground.world.base / 'elsewhere/.git/objects'}\n")


def loaded_code(ground: Ground) -> None:
    """Code that an interpreter or a test runner loads by itself."""
    start = "try:\n    exec({!r})\nexcept BaseException:\n    pass\n"
    own = ground.python
    write(ground.repo, {
        "conftest.py": own("conftest") + "pytest_plugins = ['evil_plugin']\n",
        "evil_plugin.py": own("pytest_plugin") + "def pytest_sessionfinish(session): pass\n",
        "sitecustomize.py": start.format(own("sitecustomize")),
        "usercustomize.py": start.format(own("usercustomize")),
        "evil.pth": f"import sys; exec({own('pth')!r})\n",
        "tests/conftest.py": own("conftest_below"),
        ".env": f"PYTHONSTARTUP={ground.repo}/startup.py\nPYTHONPATH={ground.repo}/early\n",
        "startup.py": own("startup"),
        "early/os.py": own("early"),
        "evil.egg-info/entry_points.txt": "[pytest11]\nevil = evil_entry\n",
        "evil.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: evil\nVersion: 1.0\n",
        "evil_entry.py": own("entry_point"),
        "setup.py": own("setup"), "noxfile.py": own("noxfile"), "Makefile": "test:\n\tfalse\n",
        "pytest.ini": "[pytest]\npythonpath = .\naddopts = -p evil_plugin\n",
    })  # fmt: skip


def odd_names(ground: Ground) -> None:
    """Names that break what reads lists of them: newlines, escapes, options, bytes that are no text, twins by case."""
    names = [
        b"new\nline.py", b"tab\there.py", b"\x1b[31mred.py", b"-rf.py", b"--output=evil.py", b"bytes-\xff\xfe.py",
        b"quote'\".py", b"$(touch marks).py", b"`id`.py", b" leading.py", b"trailing .py", b"..\\..\\up.py",
        "Ünïcödé\u202e.py".encode(), b"Case.py", b"case.py", b"CASE.py", b"con.py", b"a" * 251 + b".py", b":(top)x.py",
        b"percent%2e%2e.py", b"*.py", b"[a].py", b"~root.py", b"#!x.py",
    ]  # fmt: skip
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(ground.repo), name))).write_bytes(b"x = 1\n")
    deep = ground.repo.joinpath(*(f"d{n}" for n in range(60)))
    deep.mkdir(parents=True)
    (deep / "bottom.py").write_text("x = 1\n")


def special_files(ground: Ground) -> None:
    """A pipe that nobody writes to, a socket, a file with a hole, and a large one."""
    os.mkfifo(ground.repo / "pipe.py")
    os.mkfifo(ground.repo / "tests/test_pipe.py")
    with socket.socket(socket.AF_UNIX) as server:
        fd = os.open(ground.repo, os.O_PATH)
        try:
            server.bind(f"/proc/self/fd/{fd}/socket.py")
        finally:
            os.close(fd)
    with (ground.repo / "hole.bin").open("wb") as file:
        file.truncate(1 << 40)
    (ground.repo / "long_line.py").write_text("x = '" + "a" * 2_000_000 + "'\n")


Trap = Callable[[Ground], None]
COMMITTED: tuple[Trap, ...] = (links, loaded_code, odd_names)
"""Traps that a clone brings."""
UNTRACKED: tuple[Trap, ...] = (submodules, special_files)
"""Traps that lie about: git does not track them."""
PLACED: tuple[Trap, ...] = (hooks, alternates, included, configuration)
"""Traps in git's own folder, which an unpacked archive brings."""
LOADED = frozenset({"conftest", "conftest_below", "entry_point", "pytest_plugin"})
"""What an interpreter and pytest load by themselves there. The rest waits for a variable or an installation."""
