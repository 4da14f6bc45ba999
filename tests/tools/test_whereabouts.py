"""Where paths lead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.whereabouts import Relation, Survey, escape_path, is_file, is_folder, way

BELOW_A_MOUNT = """
import json, sys
from tools.whereabouts import Survey
s = Survey()
outer, seen = s.spot(sys.argv[1]), s.spot(sys.argv[2])
print(json.dumps([outer.relation(seen), seen.relation(outer)]))
"""


def relation(path: Path, other: Path) -> Relation | None:
    survey = Survey()
    return survey.spot(path).relation(survey.spot(other))


def test_how_places_lie_to_one_another(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a/b")
    assert relation(tmp_path / "a", tmp_path / "a/b") is Relation.ABOVE
    assert relation(tmp_path / "link/c", tmp_path / "a") is Relation.BELOW
    assert relation(tmp_path / "link", tmp_path / "a/b") is Relation.SAME
    assert relation(tmp_path / "a", tmp_path / "ab") is None
    assert relation(Path("/"), tmp_path) is Relation.ABOVE
    assert relation(tmp_path / "gone", tmp_path / "missing") is None
    assert relation(tmp_path / "gone", tmp_path) is Relation.BELOW
    survey = Survey()
    assert survey.spot(tmp_path).path_to(survey.spot(tmp_path / "link/c")) == "a/b/c"


def test_a_file_is_the_same_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "other").hardlink_to(tmp_path / "file")
    assert relation(tmp_path / "file", tmp_path / "other") is Relation.SAME


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount: bind mounts are NOT tried here")
@pytest.mark.parametrize(
    ("mounted", "asked", "want"),
    [("a", "mount/b", "above"), ("a/b", "mount", "above"), ("a", "mount", "same"), (".", "mount/a/b", "above")],
)
def test_a_bind_mount_is_the_place_that_it_shows(tmp_path: Path, mounted: str, asked: str, want: str) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "mount").mkdir()
    mount = ["mount", "--bind", str(tmp_path / mounted), str(tmp_path / "mount")]
    ask = [sys.executable, "-c", BELOW_A_MOUNT, str(tmp_path / "a"), str(tmp_path / asked)]
    script = 'mount --make-rprivate / && "$1" "$2" "$3" "$4" && shift 4 && exec "$@"'
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *mount, *ask], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    back = {"above": "below", "same": "same"}[want]
    assert json.loads(done.stdout) == [want, back], done.stderr


def test_every_place_on_a_way(tmp_path: Path) -> None:
    (tmp_path / "real/env").mkdir(parents=True)
    (tmp_path / "first").symlink_to("second/env")
    (tmp_path / "second").symlink_to(tmp_path / "real")
    steps = [step.removeprefix(f"{tmp_path}/") for step in way(tmp_path / "first") if step.startswith(f"{tmp_path}/")]
    assert steps == ["first", "second", "real", "real/env"]
    assert list(way("/")) == ["/"] and list(way(tmp_path / "second/env/.."))[-1] == str(tmp_path / "real")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="too many links"):
        list(way(tmp_path / "circle/x"))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "..", "../..", "d", "/"])), max_size=5),
    st.lists(st.sampled_from([*"abcd", "..", "."]), min_size=1, max_size=5),
)
def test_a_way_ends_where_the_kernel_says(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str]], path: list[str]
) -> None:
    base = Path(os.path.realpath(tmp_path_factory.mktemp("way")))
    for name, target in links:
        if not os.path.lexists(base / name):
            (base / name).symlink_to(target)
    asked = os.path.join(base, *path)
    try:
        steps = list(way(asked))
        wanted = os.path.realpath(asked, strict=True)
    except OSError:
        return
    assert os.path.realpath(steps[-1]) == wanted


def test_no_error_for_bad_names(tmp_path: Path) -> None:
    for name in ("nul\0", "x" * 5000, "gone"):
        assert not is_folder(tmp_path / name) and not is_file(tmp_path / name)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert is_file(tmp_path / "file") and not is_file(tmp_path / "link") and is_folder(tmp_path)


def test_a_path_in_a_sentence() -> None:
    assert escape_path("/a b/é'x") == "/a b/é'x"
    assert escape_path("/new\nline\x1b[31m\u202e" + os.fsdecode(b"\xff")) == r"/new\nline\x1b[31m\u202e\udcff"
