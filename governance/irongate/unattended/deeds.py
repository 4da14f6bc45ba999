"""Which functions of a file act outside of the program: start something, write, delete, speak to others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from governance.irongate.unattended.names import DUNDER, OPENERS, STDLIB, imports, mention, reaches
from governance.irongate.unattended.tables import DENIED, METHODS, words
from governance.irongate.unattended.units import functions

ONLY_LOOKS = words(
    "time random secrets uuid getpass platform pwd grp timeit gc tracemalloc resource threading inspect tempfile"
)
LOOKS = words(
    """
    now utcnow today time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time getrandbits randint
    randrange uuid1 uuid4 token_hex token_bytes token_urlsafe getpid getppid gethostname getuser getenv expanduser home
    expandvars which get_terminal_size currentframe getouterframes getinnerframes f_back f_globals f_locals f_builtins
    f_trace f_code f_lineno tb_next tb_frame tb_lineno mro co_name co_filename co_consts co_names co_varnames co_code
    get_type_hints set_trace input breakpoint attrgetter methodcaller PIPE DEVNULL STDOUT os sys inspect threading
    """
)
"""What reaches out of the program to look, and changes nothing there."""
ACTS = words(
    """
    os.remove os.replace os.open os.write os.mknod os.mkfifo os.link os.chdir os.fchdir os.chroot os.umask os.setuid
    os.setgid os.setxattr os.removexattr os.utime os.nice os.dup2 io.open io.FileIO codecs.open gzip.open gzip.GzipFile
    bz2.open bz2.BZ2File lzma.open lzma.LZMAFile zipfile.ZipFile tarfile.open tarfile.TarFile logging.FileHandler
    logging.basicConfig fileinput.input json.dump pickle.dump csv.writer csv.DictWriter
    """
)
"""What acts beside :data:`DENIED`, whose names are not those of other things."""
READ_MODES = frozenset({"r", "rb", "rt", "br", "tr"})


@lru_cache(maxsize=4)
def acting(old: ast.Module) -> frozenset[str]:
    """Functions (``name``), methods (``.name``) and classes of the file that start programs, write, or speak to
    others, by themselves or through others of the file; what only looks or reads is not among them."""
    names, scoped = imports(old), dict(functions(old))
    uses = {name: frozenset(_deeds(node, names)) for name, node in scoped.items()}
    called = {name: _called_as(name, name.rpartition(".")[0] not in ("", *scoped)) for name in uses}
    found = {name for name, said in uses.items() if any(map(acts, said))}
    while True:
        by = {called[name] for name in found if called[name].lstrip(".") not in METHODS}
        more = {name for name, said in uses.items() if said & by} - found
        if not more:
            return frozenset(one for one in by if not DUNDER.fullmatch(one[1:]))
        found |= more


def _called_as(name: str, is_method: bool) -> str:
    """How a function of a file is called: by its name, by that of a method with a dot, by a class that it makes."""
    owner, _, last = name.rpartition(".")
    if is_method and last in ("__init__", "__new__", "__post_init__"):
        return owner.rpartition(".")[2]
    return f".{last}" if is_method else last


def _deeds(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """What a function mentions, but for files that it opens to read."""
    reading = {
        id(call.func)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "open" and reads(call)
    }
    roots = {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
    for inner in ast.walk(node):
        is_module = isinstance(inner, ast.Name) and inner.id in DENIED and (id(inner) in roots or inner.id not in names)
        if id(inner) not in reading and not is_module:
            yield from mention(inner, names)


def reads(call: ast.Call) -> bool:
    """Whether a call of ``open`` only reads."""
    modes = [*call.args[1:2], *(word.value for word in call.keywords if word.arg == "mode")]
    plain = all(word.arg for word in call.keywords) and not any(isinstance(one, ast.Starred) for one in call.args)
    return plain and all(isinstance(mode, ast.Constant) and mode.value in READ_MODES for mode in modes)


def acts(said: str) -> bool:
    """Whether a dotted name is one of what starts programs, writes, or speaks to others: not of clocks and chance."""
    first, last = said.lstrip(".").partition(".")[0], said.rpartition(".")[2]
    if first in ONLY_LOOKS or last in LOOKS:
        return False
    if "." in said:
        return last in DENIED or said in ACTS or (said[0] != "." and reaches(said))
    return said in OPENERS or (said in DENIED and said in STDLIB)
