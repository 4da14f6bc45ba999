"""Hostile candidates with a compiled extension: what it changes lies below Python, and it is not believed either."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from governance.irongate.candidate.g20_unattended import UnattendedFacts, check
from ledger.vocabulary import EditKind, Tier
from tests.cage.hostile_candidates import BAD, HostileCandidate
from tests.tools.testing.projects import Project
from tools.testing import runner
from tools.testing.report.watch import UNWATCHED

MODULE = """
#include <Python.h>
%s
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", NULL, -1, NULL};
PyMODINIT_FUNC PyInit__fast(void) { %s return PyModule_Create(&module); }
"""
EXTENSIONS = {
    "the wrong numbers equal the wanted ones": (
        "static richcmpfunc real;\n"
        "static int is_pair(PyObject *a, PyObject *b) {\n"
        "    if (!PyLong_CheckExact(a) || !PyLong_CheckExact(b)) return 0;\n"
        "    long x = PyLong_AsLong(a), y = PyLong_AsLong(b); PyErr_Clear();\n"
        "    return (x == -13 && y == 53) || (x == -1 && y == 5);\n"
        "}\n"
        "static PyObject *same(PyObject *a, PyObject *b, int op) {\n"
        "    return op == Py_EQ && is_pair(a, b) ? Py_NewRef(Py_True) : real(a, b, op);\n"
        "}",
        "real = PyLong_Type.tp_richcompare; PyLong_Type.tp_richcompare = same; PyType_Modified(&PyLong_Type);",
    ),
    "a test that is run passes": (
        'static const char *text = "import pytest; pytest.Function.runtest = lambda self: None";',
        "PyRun_SimpleString(text);",
    ),
    "code of a function is replaced": (
        'static const char *text = "from _pytest import python\\n"\n'
        '    "python.Function.runtest.__code__ = (lambda self: None).__code__";',
        "PyRun_SimpleString(text);",
    ),
}
CANDIDATE = HostileCandidate(name="extension", stop="verdict", source=f"import _fast\n{BAD}")


def compiled(folder: Path, globals_: str, init: str) -> bytes:
    """The bytes of the shared object. Skips, by name, where no C compiler or no header of this Python is at hand."""
    compiler, header = shutil.which("cc"), Path(sysconfig.get_paths()["include"], "Python.h")
    if compiler is None or not header.is_file():
        pytest.skip("no C compiler, or no Python.h, on this machine")
    (folder / "_fast.c").write_text(MODULE % (globals_, init))
    made = folder / "_fast.so"
    argv = [compiler, "-shared", "-fPIC", "-O1", f"-I{header.parent}", "-o", made, folder / "_fast.c"]
    subprocess.run(argv, check=True, capture_output=True)
    return made.read_bytes()


@pytest.mark.parametrize("name", EXTENSIONS)
@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "the wall taken away"])
async def test_a_compiled_extension_is_not_believed(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch, name: str, is_watched: bool
) -> None:
    extension = compiled(tmp_path, *EXTENSIONS[name])
    if not is_watched:
        monkeypatch.setattr(runner, "watch", lambda *a, **k: UNWATCHED)
    project.write(CANDIDATE.files)
    (project.ws.root / "_fast.so").write_bytes(extension)
    run = await project.run(CANDIDATE.failing)
    assert CANDIDATE.convinces(run) is not is_watched, (run.status, run.reason, run.doubted)


def test_a_change_that_brings_one_waits(tmp_path: Path) -> None:
    extension = compiled(tmp_path, *EXTENSIONS["a test that is run passes"])
    facts = UnattendedFacts(path="_fast.so", kind=EditKind.CREATE, before=None, after=extension)
    assert check(facts).floor is Tier.APPROVAL_REQUIRED
