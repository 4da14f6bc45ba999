"""Which file an import means: beside what Python itself finds, and in layouts that Python cannot see at once."""

from __future__ import annotations

import importlib.util
import tempfile
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.index.facts import Import
from tools.index.modules import Modules, graph, reverse_graph, rings

NAMES = st.sampled_from(["aa", "bb", "cc", "dd"])
FOLDERS = st.lists(NAMES, max_size=3).map("/".join)
FILES = st.sets(
    st.tuples(FOLDERS, st.one_of(NAMES, st.just("__init__"))).map(lambda at: f"{at[0]}/{at[1]}.py".lstrip("/")),
    min_size=1,
    max_size=14,
)


def found_by_python(root: Path, name: str) -> str | None:
    """The file that ``import name`` would run with ``root`` as the only import path; None for a namespace package."""
    where: Path | None = root
    spec: ModuleSpec | None = None
    for part in name.split("."):
        spec = FileFinder(str(where), (SourceFileLoader, [".py"])).find_spec(part) if where is not None else None
        if spec is None:
            return None
        inside = spec.submodule_search_locations
        where = Path(next(iter(inside))) if inside is not None else None
    return str(Path(spec.origin).relative_to(root)) if spec and spec.origin else None


@settings(max_examples=50, deadline=None)
@given(files=FILES, name=st.lists(NAMES, min_size=1, max_size=4).map(".".join), data=st.data())
def test_an_import_from_the_top_means_what_python_finds(files: set[str], name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).touch()
        modules = Modules(files)
        # An importer at the top: nothing is nearer than what the top itself gives.
        python = found_by_python(root, name)
        ours = modules.resolve("main.py", Import(name, (), 0, 1)).files
        assert python is None or ours == (python,)
        importer = data.draw(st.sampled_from(sorted(files)))
        level = data.draw(st.integers(1, 4))
        said = data.draw(st.sampled_from(["", name]))
        relative = modules.resolve(importer, Import(said, (), level, 1))
        if found_by_python(root, importer.removesuffix(".py").removesuffix("/__init__").replace("/", ".")) != importer:
            return  # hidden behind a module of the same name as its folder: nobody can import it as it lies
        assert relative.files == relative_by_python(root, importer, "." * level + said)


def relative_by_python(root: Path, importer: str, name: str) -> tuple[str, ...]:
    package = ".".join(importer.split("/")[:-1])
    try:
        whole = importlib.util.resolve_name(name, f"top.{package}" if package else "top")
    except ImportError:
        return ()
    inside = whole.removeprefix("top").lstrip(".")
    if not inside:
        return ("__init__.py",) if (root / "__init__.py").exists() else ()
    found = found_by_python(root, inside)
    return (found,) if found else ()


@settings(max_examples=50, deadline=None)
@given(
    files=FILES, importer=st.data(), module=st.lists(NAMES, max_size=3).map(".".join), names=st.lists(NAMES, max_size=3)
)
def test_resolving_is_total_and_stays_in_the_tree(
    files: set[str], importer: st.DataObject, module: str, names: list[str]
) -> None:
    modules = Modules(files)
    for level in range(4):
        if not module and not level:
            continue
        path = importer.draw(st.sampled_from(sorted(files)))
        targets = modules.resolve(path, Import(module, tuple(names), level, 1))
        assert set(targets.files) <= files
        assert bool(targets.files) != bool(targets.outside)
    for path in files:
        name = modules.name_of(path)
        assert not name or path in modules.files_of(name)


LAYOUT = [
    "setup.py", "src/shop/__init__.py", "src/shop/cart.py", "src/shop/tax/__init__.py", "src/shop/tax/rates.py",
    "src/shop/types.py", "src/single.py", "tests/conftest.py", "tests/helpers.py", "tests/unit/test_cart.py",
    "docs/helpers.py", "tools/json.py", "plain/space/mod.py", "stubs/shop2/__init__.pyi", "both.py", "both/__init__.py",
]  # fmt: skip


@pytest.mark.parametrize(
    ("importer", "said", "files"),
    [
        ("tests/unit/test_cart.py", Import("shop.cart", ("total",), 0, 1), ["src/shop/cart.py"]),
        ("tests/unit/t.py", Import("shop", ("cart", "VERSION"), 0, 1), ["src/shop/__init__.py", "src/shop/cart.py"]),
        ("tests/t.py", Import("shop.tax", ("rates",), 0, 1), ["src/shop/tax/__init__.py", "src/shop/tax/rates.py"]),
        ("tests/unit/test_cart.py", Import("shop", ("*",), 0, 1), ["src/shop/__init__.py"]),
        ("tests/unit/test_cart.py", Import("single", (), 0, 1), ["src/single.py"]),
        ("tests/unit/test_cart.py", Import("helpers", (), 0, 1), ["tests/helpers.py"]),
        ("docs/conf.py", Import("helpers", (), 0, 1), ["docs/helpers.py"]),
        ("src/shop/cart.py", Import("", ("tax",), 1, 1), ["src/shop/__init__.py", "src/shop/tax/__init__.py"]),
        ("src/shop/cart.py", Import("tax.rates", ("RATE",), 1, 1), ["src/shop/tax/rates.py"]),
        ("src/shop/tax/rates.py", Import("cart", ("x",), 2, 1), ["src/shop/cart.py"]),
        ("src/shop/tax/x.py", Import("", ("rates",), 1, 1), ["src/shop/tax/__init__.py", "src/shop/tax/rates.py"]),
        ("src/shop/cart.py", Import("types", ("FunctionType",), 0, 1), []),
        ("src/shop/cart.py", Import("json", (), 0, 1), []),
        ("a.py", Import("plain.space", ("mod", "none"), 0, 1), ["plain/space/mod.py"]),
        ("a.py", Import("shop2", (), 0, 1), ["stubs/shop2/__init__.pyi"]),
        ("a.py", Import("both", (), 0, 1), ["both/__init__.py"]),
        ("a.py", Import("requests.adapters", (), 0, 1), []),
    ],
)  # fmt: skip
def test_layouts(importer: str, said: Import, files: list[str]) -> None:
    modules = Modules(LAYOUT)
    edges = graph(modules, {importer: [said]})
    assert list(modules.resolve(importer, said).files) == files
    assert list(edges[importer]) == [path for path in files if path != importer]


def test_names_of_files() -> None:
    modules = Modules(LAYOUT)
    names = {path: modules.name_of(path) for path in ("src/shop/tax/rates.py", "src/single.py", "plain/space/mod.py")}
    assert list(names.values()) == ["shop.tax.rates", "single", "plain.space.mod"]
    assert modules.name_of("src/shop/__init__.py") == "shop"
    assert modules.resolve("a.py", Import("shop.gone", (), 0, 1)).lost
    assert modules.resolve("a.py", Import("", ("x",), 3, 1)).lost
    assert not modules.resolve("a.py", Import("numpy", (), 0, 1)).lost


EDGES = st.dictionaries(st.integers(0, 9).map(str), st.dictionaries(st.integers(0, 9).map(str), st.integers(1, 99)))


@given(edges=EDGES, depth=st.integers(1, 5))
def test_rings_are_the_distances_of_a_graph(edges: dict[str, dict[str, int]], depth: int) -> None:
    steps = {"0": 0}
    for step in range(1, depth + 1):
        reached = {t for f, near in edges.items() if steps.get(f) == step - 1 for t in near}
        steps |= {target: step for target in reached if target not in steps}
    found = [{target for target, _, _ in ring} for ring in rings(edges, "0", depth)]
    assert found == [{t for t, far in steps.items() if far == step} for step in range(1, depth + 1)]
    for ring in rings(edges, "0", depth):
        assert all(edges[source][target] == line for target, source, line in ring)
    assert reverse_graph(reverse_graph(edges)) == {path: dict(near) for path, near in edges.items() if near}
