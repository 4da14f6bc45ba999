"""See the package's own text."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import tomllib
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.tasks.choose import Draw, cover
from bench.tasks.packages import HERE, environment, fetch, packages, settings
from daemon.evaluation.mine import by_file

HALVES = ("open", "held")


def choose(folder: Path, half: str) -> None:
    """Draw and write down, package by package: a drawing that was cut goes on behind the packages that it has."""
    seed, all_packages = packages()
    python = environment(folder)
    file = HERE / f"{half}.toml"
    rows = drawn(file) if file.exists() else []
    known = {row["package"] for row in rows}
    with tempfile.TemporaryDirectory() as scratch:
        for package in all_packages:
            if package.half == half and package.name not in known:
                draw = Draw(package, fetch(package, folder), python, Path(scratch), seed)
                rows += [asdict(task) for task in draw.tasks()]
                file.write_text(written(rows))
                print(f"{package.name}: {len(rows)} tasks so far", flush=True)


def written(rows: list[dict[str, Any]]) -> str:
    """TOML: JSON's strings and arrays are TOML's."""
    text = "# Drawn by `python -m bench.tasks choose`; see packages.toml.\n"
    for row in rows:
        text += "\n[[task]]\n" + lines({key: value for key, value in row.items() if key not in ("edits", "hidden")})
        text += "[task.hidden]\n" + lines({file: sorted(names) for file, names in by_file(row["hidden"]).items()})
        text += "".join("[[task.edits]]\n" + lines(edit) for edit in row["edits"])
    return text


def lines(row: dict[str, Any]) -> str:
    said = {json.dumps(key): json.dumps(value, ensure_ascii=False) for key, value in row.items()}
    return "".join(f"{key} = {value}\n" for key, value in said.items())


def drawn(file: Path) -> list[dict[str, Any]]:
    """What :func:`written` wrote."""
    rows: list[dict[str, Any]] = tomllib.loads(file.read_text())["task"]
    for row in rows:
        row["hidden"] = [f"{path}::{name}" for path, names in row["hidden"].items() for name in names]
    return rows


def build(folder: Path, half: str) -> None:
    """Write each task of ``half`` as a small repository: ``repo`` is what the repairer gets, ``oracle`` what judges it."""
    _, all_packages = packages()
    known = {package.name: package for package in all_packages}
    environment(folder)
    file = HERE / f"{half}.toml"
    if not file.exists():
        raise SystemExit(f"{file.name} is not drawn yet: python -m bench.tasks choose {folder} {half}")
    tasks = drawn(file)
    for task in tasks:
        package = known[task["package"]]
        root, place = fetch(package, folder), folder / half / task["name"]
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(root, place / "repo")
        for edit in task["edits"]:  # those of one file come from its end to its start
            source = place / "repo" / edit["file"]
            if sha256((root / edit["file"]).read_bytes()).hexdigest() != edit["sha256"]:
                raise SystemExit(f"{task['name']}: {edit['file']} is not the file that the fault was made for")
            text, start, old = source.read_text(), edit["start"], edit["old"]
            if text[start : start + len(old)] != old:
                raise SystemExit(f"{task['name']}: the fault does not fit {edit['file']}")
            source.write_text(text[:start] + edit["new"] + text[start + len(old) :])
        files = sorted({test.partition("::")[0] for test in task["hidden"]})
        for name in files:
            if (root / name).is_file():
                (place / "oracle" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, place / "oracle" / name)
        cover(place / "repo", tuple(task["hidden"]))
        (place / "repo/pytest.ini").write_text(settings(package))
        about = {
            "kind": task["kind"],
            "python": str(folder.resolve() / ".venv"),
            "red": task["red"],
            "known_red": task["known_red"],
        }
        (place / "task.json").write_text(json.dumps(about, indent=1) + "\n")
    print(f"{len(tasks)} tasks in {folder / half}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("choose")
    building = commands.add_parser("build")
    for command in (drawing, building):
        command.add_argument("folder", type=Path)
    drawing.add_argument("half", choices=HALVES)
    building.add_argument("--half", choices=HALVES, action="append")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.command == "choose":
        choose(chosen.folder, chosen.half)
    else:
        for half in chosen.half or HALVES:
            build(chosen.folder, half)


if __name__ == "__main__":
    main()
