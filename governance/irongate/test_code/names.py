"""Decides whether a new name in a test module affects existing tests: through the runner, or through name look-up.

A runner calls some functions by their names (``setup_module``, ``setUp``, ``pytest_...``), passes fixtures to functions
with a parameter of their name. A running test looks names up in its class and base classes, the module and builtins. A
new definition of such a name changes tests without a change of their text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from governance.irongate.syntax import source
from governance.irongate.tables import word_set
from governance.irongate.test_code.tampering import why_tampering

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.ClassDef
HOOK = "pytest_"
RUNNER_NAMES = frozenset({"pytestmark", "pytest_plugins", "collect_ignore", "collect_ignore_glob"})
_SUFFIXES = ("", "_module", "_function", "_class", "_method", "_package")
SETUP_FUNCTIONS = frozenset(
    {f"{word}{end}" for word in ("setup", "teardown") for end in _SUFFIXES}
    | {"setUpModule", "tearDownModule", "load_tests"}
)
PLAIN_BASES = frozenset(
    {"object", "TestCase", "unittest.TestCase", "IsolatedAsyncioTestCase", "unittest.IsolatedAsyncioTestCase"}
)
"""Base classes without tests of their own: a new test in their subclasses overrides none."""
CONSTANT_MAKERS = word_set(
    """
    Path pathlib.Path PurePath re.compile object range frozenset set list dict tuple str int float bytes len sorted
    min max sum Decimal Fraction date datetime timedelta datetime.date datetime.datetime datetime.timedelta
    namedtuple os.path.join os.path.dirname os.path.abspath logging.getLogger TypeVar
    """
)
"""Functions that may be called to define a constant; other calls run code when the tests are loaded."""
HARMLESS_DECORATORS = frozenset(
    {"pytest", "unittest", "mock", "patch", "given", "settings", "example", "st", "strategies"}
)
"""Sources of decorators that only mark tests, or undo their own effects."""


def why_affecting(old: Scope, name: str, node: ast.stmt | None, *, whole: ast.Module) -> str | None:
    """How a name that is new in ``old`` affects existing tests, or None.

    ``node``: its definition, None for an import. ``whole``: the module before the change, empty for a new file.
    """
    if name in RUNNER_NAMES or name == "__test__" or name.startswith(HOOK):
        return "is new and changes what the runner does"
    if node is not None and is_autouse(node):
        return "is a new fixture that every test uses"
    if whole.body and (why := _why_affecting_older(old, name, node, whole)):
        return why
    if node is None:
        return None
    why = why_tampering(node, is_method=isinstance(old, ast.ClassDef)) or _why_running_at_import(node)
    return f"is new and {why}" if why else None


def _why_affecting_older(old: Scope, name: str, node: ast.stmt | None, whole: ast.Module) -> str | None:
    if name == "*":
        return "imports names that are not known here"
    if name in SETUP_FUNCTIONS:
        return "is new, and the runner calls it around tests that were there"
    if name.startswith("__") and name.endswith("__"):
        return "is new and changes how names are looked up"
    if is_fixture(node):
        return "is a new fixture, which may override another one"
    if isinstance(old, ast.ClassDef):
        return _why_affecting_class(old, name, node)
    return "is new and hides a name that is used here" if name in _names_read(whole) else None


def _why_affecting_class(old: ast.ClassDef, name: str, node: ast.stmt | None) -> str | None:
    bases = {source(base) for base in old.bases}
    if not bases <= PLAIN_BASES:
        return "is new in a class whose bases may have one of that name"
    if bases - {"object"} and not (name.startswith("test") and isinstance(node, Function)):
        return "is new in a test case, which may have one of that name"
    return None


def _names_read(tree: ast.Module) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def is_autouse(node: ast.stmt) -> bool:
    """Whether a function is a fixture that is used by every test (autouse)."""
    return isinstance(node, Function) and any("autouse" in source(d) for d in node.decorator_list)


def is_fixture(node: ast.stmt | None) -> bool:
    """Whether pytest takes a definition as a fixture."""
    if isinstance(node, Function):
        return any("fixture" in source(d) for d in node.decorator_list)
    return isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and "fixture" in source(node.value)


def _why_running_at_import(node: ast.stmt) -> str | None:
    """Why a definition runs code when the module is loaded, or None."""
    for call in _calls_at_import(node):
        return f"runs {source(call.func)[:60]} when it is loaded"
    return None


def _calls_at_import(node: ast.stmt) -> Iterator[ast.Call]:
    if isinstance(node, Function):
        for part in [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]:
            yield from _other_calls(part)
    elif isinstance(node, ast.ClassDef):
        for part in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            yield from _other_calls(part)
        for step in node.body:
            yield from _calls_at_import(step)
    else:
        yield from _other_calls(node)


def _other_calls(node: ast.AST) -> Iterator[ast.Call]:
    """Calls in a node that neither mark tests nor create plain values."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            name = source(part.func)
            if name not in CONSTANT_MAKERS and name.partition(".")[0].partition("(")[0] not in HARMLESS_DECORATORS:
                yield part
