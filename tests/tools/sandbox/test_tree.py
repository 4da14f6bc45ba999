"""What code inside sees of the file system."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import SandboxError
from tests.tools.sandbox.boxes import Box, shell
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.landlock import Landlock
from tools.sandbox.tree import TreeStep, mount_steps
from tools.sandbox.types import Job, Mount

CHECKOUT = Path("/home/u/proj")


async def test_the_workspace_stands_at_the_checkouts_own_path(bwrap: Bwrap, work: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "tool").write_text("tool")
    (work / "src.py").write_text("source")
    job = Job(
        argv=("sh", "-c", "pwd; cat src.py .venv/bin/tool; echo x > made; echo x > .venv/made; ls /home/u"),
        cwd=CHECKOUT,
        mounts=(
            Mount(source=venv, target=CHECKOUT / ".venv"),  # given first, yet it must come on top
            Mount(source=work, target=CHECKOUT, writable=True),
        ),
        timeout_s=10,
    )
    done = await bwrap.run(job)
    assert done.output.decode().splitlines()[0] == str(CHECKOUT)
    assert b"sourcetool" in done.output and b"proj" in done.output
    assert (work / "made").exists() and not (venv / "made").exists() and not (work / ".venv" / "made").exists()


async def test_daemon_folders_below_a_mount_are_hidden(bwrap: Bwrap, work: Path, tmp_path: Path) -> None:
    (tmp_path / "state" / "secret").write_text("s3cret")
    (tmp_path / "open").write_text("open")
    inner = tmp_path / "cache" / "workspace"
    inner.mkdir()
    (inner / "file").write_text("wanted")
    script = "cat /seen/open /seen/state/secret /seen/cache/workspace/file; touch /seen/state/x; ls -A /seen/cache"
    mounts = (
        Mount(source=tmp_path, target=Path("/seen")),
        Mount(source=inner, target=Path("/seen/cache/workspace"), writable=True, ours=True),
    )
    hidden = (*bwrap.hidden, tmp_path / "cache" / "gone")
    done = await replace(bwrap, hidden=hidden).run(
        Job(argv=("sh", "-c", script), cwd=Path("/"), mounts=mounts, timeout_s=9)
    )
    text = done.output.decode()
    assert "open" in text and "s3cret" not in text and "wanted" in text and text.rstrip().endswith("workspace")
    assert not (tmp_path / "state" / "x").exists()
    shown = await replace(bwrap, hidden=()).run(
        Job(argv=("sh", "-c", script), cwd=Path("/"), mounts=mounts, timeout_s=9)
    )
    assert b"s3cret" in shown.output


async def test_landlock_refuses_a_mount_that_would_show_daemon_folders(landlock: Landlock, work: Path) -> None:
    above = landlock.hidden[0].parent
    with pytest.raises(SandboxError, match="cannot hide"):
        await landlock.run(shell(work, "true", Mount(source=above, target=above)))


@pytest.mark.parametrize("way", ["itself", "below", "by a link", "below by a link", "at another place"])
async def test_a_mount_that_names_a_daemon_folder_is_refused(box: Box, work: Path, tmp_path: Path, way: str) -> None:
    """Not only one that shows it by the way. What the daemon made for this very job is no such mount."""
    state = box.hidden[0]
    (state / "deep").mkdir()
    (state / "deep/secret").write_text("s3cret")
    (tmp_path / "link").symlink_to(state)
    source = {"itself": state, "below": state / "deep", "by a link": tmp_path / "link"}.get(way, tmp_path / "link/deep")
    seen_at = Path("/seen") if way == "at another place" and box.maps_paths else source
    mount = Mount(source=source, target=seen_at)
    with pytest.raises(SandboxError, match=r"not shown to untrusted code: it (is|lies in) .*the daemon's own"):
        await box.run(shell(work, "true", mount))
    done = await replace(box, hidden=()).run(shell(work, f"cat {seen_at}/secret {seen_at}/deep/secret", mount))
    assert b"s3cret" in done.output
    ours = Mount(source=state / "deep", target=state / "deep", ours=True)
    done = await box.run(shell(work, f"cat {state}/deep/secret", ours))
    assert b"s3cret" in done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount: bind mounts are NOT tried here")
@pytest.mark.parametrize("inner", ["", "deep", ".."])
def test_a_bind_mount_of_a_daemon_folder_is_that_folder(tmp_path: Path, inner: str) -> None:
    (tmp_path / "ours/state/deep").mkdir(parents=True)
    (tmp_path / "mount").mkdir()
    asks = (
        "import sys\nfrom pathlib import Path\nfrom tools.sandbox.tree import find_exposed, mount_steps\n"
        "from tools.sandbox.types import Mount\nstate, seen = map(Path, sys.argv[1:])\n"
        "try: steps = mount_steps([Mount(source=seen, target=seen)], [state])\n"
        "except Exception as error: print(type(error).__name__)\n"
        "else:\n    inside = [str(step.target) for step in steps if step.step == '--tmpfs']\n"
        "    print('hides', *inside, find_exposed([seen], [state]))"
    )
    script = 'mount --make-rprivate / && mount --bind "$1" "$2" && shift 2 && exec "$@"'
    state = tmp_path / "ours/state"
    argv = ["unshare", "-m", "sh", "-c", script, "sh", state / inner, tmp_path / "mount"]
    asked = [sys.executable, "-c", asks, state, tmp_path / "mount"]
    done = subprocess.run([*argv, *asked], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    if inner == "..":  # it holds the folder: hidden inside, and told to the back end that cannot hide
        assert done.stdout.startswith(f"hides {tmp_path}/mount/state (PosixPath("), done.stderr
    else:
        assert done.stdout == "SandboxError\n", done.stderr


async def test_private_keys_beside_the_certificates_are_not_seen(box: Box, work: Path) -> None:
    done = await box.run(shell(work, "ls /etc/ssl/private /etc/pki/tls/private /etc/pki/entitlement 2>/dev/null; true"))
    assert done.output == b""


async def test_secrets_of_etc_are_not_seen(bwrap: Bwrap, landlock: Landlock, work: Path) -> None:
    for box in (bwrap, landlock):
        done = await box.run(shell(work, "cat /etc/passwd >/dev/null && echo names; cat /etc/shadow /etc/ssh/*key"))
        assert done.output.startswith(b"names\n") and b"root:" not in done.output and done.code != 0


async def test_a_further_toolchain_may_be_read(bwrap: Bwrap, work: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "file").write_text("here")
    wider = replace(bwrap, settings=bwrap.settings.model_copy(update={"read_only": (str(tools), "/not/there")}))
    done = await wider.run(shell(work, f"cat {tools}/file; echo x > {tools}/file"))
    assert done.output.startswith(b"here") and (tools / "file").read_text() == "here"


def test_a_link_in_the_workspace_cannot_redirect_a_mount(work: Path, tmp_path: Path) -> None:
    (work / ".venv").symlink_to("/etc")
    mounts = (
        Mount(source=work, target=CHECKOUT, writable=True),
        Mount(source=tmp_path, target=CHECKOUT / ".venv" / "lib"),
    )
    with pytest.raises(SandboxError, match="symbolic link"):
        mount_steps(mounts, ())


@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self", "/dev/shm", "/a/../b", "relative"])
def test_targets_that_are_not_places(target: str, work: Path) -> None:
    with pytest.raises(SandboxError):
        mount_steps((Mount(source=work, target=Path(target)),), ())


def test_a_missing_source_is_told_before_anything_starts() -> None:
    with pytest.raises(SandboxError, match="does not exist"):
        mount_steps((Mount(source=Path("/not/there"), target=CHECKOUT),), ())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=8), st.booleans())
def test_a_mount_never_comes_before_one_that_holds_it(targets: list[list[str]], writable: bool) -> None:
    source = Path("/usr")  # read-only mounts of an existing folder: only the order matters
    mounts = [Mount(source=source, target=Path("/m", *parts), writable=writable) for parts in targets]
    steps = mount_steps(mounts, ())
    assert len(steps) == len(mounts)
    for index, step in enumerate(steps):
        assert step.step is (TreeStep.WRITABLE if writable else TreeStep.READ_ONLY)
        assert not any(step.target in earlier.target.parents for earlier in steps[:index])
