"""Functions that act: what they do cannot be taken back by undoing a commit, or reaches out of the program. Pure.

A change of such a function is judged by a person, however small it is: which file is removed, which program is started
and what is sent hangs on every step before it, and no list of steps tells a right one from a wrong one.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping

from governance.irongate.unattended.tables import METHODS as COMMON
from governance.irongate.unattended.tables import words
from governance.irongate.unattended.units import Function, functions

BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "setattr", "delattr", "globals", "breakpoint"})
MODULES = words(
    """
    subprocess socket socketserver http urllib.request ftplib smtplib imaplib poplib telnetlib xmlrpc requests httpx
    aiohttp urllib3 websockets paramiko pexpect multiprocessing pty ctypes cffi importlib runpy code codeop webbrowser
    sqlite3 pickle marshal shelve dill joblib shutil tempfile mmap fcntl signal atexit gc
    """
)
HARMLESS_IN_THEM = frozenset(
    {"subprocess.CalledProcessError", "subprocess.TimeoutExpired", "http.HTTPStatus", "requests.exceptions",
     "shutil.get_terminal_size", "signal.Signals", "pickle.PickleError", "pickle.HIGHEST_PROTOCOL", "socket.timeout"}
)  # fmt: skip
SYSTEM = words(
    """
    system popen remove unlink rmdir removedirs rename renames replace mkdir makedirs mkfifo mknod link symlink truncate
    ftruncate chmod chown lchmod lchown chdir chroot putenv unsetenv kill killpg abort fork forkpty
    execl execle execlp execlpe execv execve execvp execvpe spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp
    spawnvpe posix_spawn posix_spawnp startfile write open dup2 setuid setgid seteuid setegid nice umask utime _exit
    """
)
METHODS = words(
    """
    rmtree unlink rmdir write_text write_bytes mkdir makedirs symlink_to hardlink_to executescript execute executemany
    sendall sendto sendmail urlopen urlretrieve create_subprocess_exec create_subprocess_shell create_connection
    extractall exec_module load_module full_load unsafe_load full_load_all unsafe_load_all load_extension popen
    from_string check_call check_output post request
    """
)
"""Methods that act, whatever they are called on."""
LOADERS = frozenset({"yaml", "ruamel", "torch", "numpy", "pandas", "joblib", "cloudpickle", "jsonpickle"})
"""Modules in which ``load`` and its like may run what they read."""
WRITING = frozenset("wax+")


def act(node: ast.AST, names: Mapping[str, str]) -> str:
    """What of a piece of code acts, as it is written; empty where nothing does. ``names``: what imported names mean."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in BUILTINS and inner.id not in names and _loads(inner):
            return inner.id
        if isinstance(inner, ast.Attribute | ast.Name):
            said = _dotted(inner, names)
            if said and _reaches(said):
                return said
        if isinstance(inner, ast.Call) and (said := _called(inner)):
            return said
    return ""


def _loads(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _reaches(said: str) -> bool:
    top, _, rest = said.partition(".")
    if not rest or any(said == one or said.startswith(f"{one}.") for one in HARMLESS_IN_THEM):
        return False
    if top == "os":
        return rest.partition(".")[0] in SYSTEM
    if top in LOADERS:
        return rest.rpartition(".")[2].startswith(("load", "read_pickle", "unpickle", "decode", "unsafe"))
    parts = said.split(".")
    return any(".".join(parts[:at]) in MODULES for at in range(1, len(parts)))


def _called(node: ast.Call) -> str:
    func = node.func
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    if name == "open":
        at = 1 if isinstance(func, ast.Name) else 0
        return "" if _only_reads(node, at) and (isinstance(func, ast.Name) or not _two(node)) else "open"
    if isinstance(func, ast.Attribute) and name in METHODS:
        return f".{name}"
    return ""


def _two(node: ast.Call) -> bool:
    return len(node.args) > 1


def _only_reads(node: ast.Call, at: int) -> bool:
    """Whether the mode with which a file is opened is written down and changes nothing."""
    given = [word.value for word in node.keywords if word.arg == "mode"] or node.args[at : at + 1]
    if any(word.arg is None for word in node.keywords) or any(isinstance(one, ast.Starred) for one in node.args):
        return False
    if not given:
        return True
    mode = given[0]
    return isinstance(mode, ast.Constant) and isinstance(mode.value, str) and WRITING.isdisjoint(mode.value)


def _dotted(node: ast.AST, names: Mapping[str, str]) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return ""
    return ".".join([names[node.id], *reversed(parts)])


def own(node: Function) -> Iterator[ast.AST]:
    """What a function does itself: its body without the functions and classes inside that are units of their own."""
    yield from node.body
    yield from node.args.defaults
    yield from (one for one in node.args.kw_defaults if one is not None)


def acting(tree: ast.Module, names: Mapping[str, str], beside: Collection[str] = ()) -> dict[str, str]:
    """The functions of a file that act, by their last name, with what acts in them.

    Directly, through each other, or through ``beside``: imported names that act.
    """
    found: dict[str, str] = {}
    uses: dict[str, set[str]] = {}
    for scope, node in functions(tree):
        last = scope.rpartition(".")[2]
        said = next(filter(None, (act(part, names) for part in own(node))), "")
        uses.setdefault(last, set()).update(called(own(node)))
        if said:
            found[last] = said
    while True:
        reached = found.keys() | set(beside)
        more = {last: f"{min(said & reached)}()" for last, said in uses.items() if last not in found and said & reached}
        if not more:
            return found
        found |= more


def called(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The last names of what is called, or handed on by its name, in these nodes.

    A method that builtin types have too counts where it is called on ``self``, ``cls`` or on something just made.
    """
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in COMMON or _is_own(node.func.value):
                    yield node.func.attr
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield node.id


def _is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) or (isinstance(node, ast.Name) and node.id in ("self", "cls"))
