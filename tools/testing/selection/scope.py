"""Which test files a change can affect (pure): quick feedback first; the whole suite still decides before a commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from tools.testing.selection.imports import graph, mentions
from tools.testing.selection.names import is_test_module

_CONFIGURATION = frozenset({"pyproject.toml", "pytest.ini", "setup.cfg", "setup.py", "tox.ini"})


def find_affected(files: Mapping[str, bytes], changed: Collection[str]) -> tuple[str, ...]:
    """Test files that import or name what changed, directly or through other modules; the nearest first.

    ``files`` maps every Python file of the tree to its bytes; ``changed`` may name any path. A changed configuration
    file affects every test below it, a changed data file every file that names it in a string.
    """
    needs = graph(files)
    needed_by: dict[str, set[str]] = {}
    for path, targets in needs.items():
        for target in targets:
            needed_by.setdefault(target, set()).add(path)
    distance: dict[str, int] = {path: 0 for path in changed if path in needs}
    for path in changed:
        if path not in needs:
            distance |= dict.fromkeys(_users_of_data(files, path), 1)
    queue = deque(sorted(distance, key=lambda path: (distance[path], path)))
    while queue:
        path = queue.popleft()
        for user in needed_by.get(path, ()):
            if user not in distance:
                distance[user] = distance[path] + 1
                queue.append(user)
    tests = (path for path in distance if is_test_module(path))
    return tuple(sorted(tests, key=lambda path: (distance[path], path)))


def _users_of_data(files: Mapping[str, bytes], changed: str) -> set[str]:
    pure = PurePosixPath(changed)
    if pure.name in _CONFIGURATION:
        prefix = "" if str(pure.parent) == "." else f"{pure.parent}/"
        return {path for path in files if path.startswith(prefix) and is_test_module(path)}
    if pure.suffix == ".py":  # deleted: whoever still imports it by its old place
        module = str(pure.with_suffix("")).replace("/", ".")
        return {path for path, data in files.items() if _imports_lost(path, data, module)}
    name = pure.name.encode()
    return {
        path
        for path, data in files.items()
        if name in data and any(pure.name in text for text in mentions(path, data).texts)
    }


def _imports_lost(path: str, data: bytes, module: str) -> bool:
    return path.endswith(".py") and any(
        module == name or module.endswith(f".{name}") for name in mentions(path, data).imports if name
    )
