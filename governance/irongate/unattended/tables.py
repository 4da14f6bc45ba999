"""The lists of gate 20: what is harmless by name, and what is never, whatever else the repository does with it."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


BUILTINS = words(
    """
    abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter
    float format frozenset getattr hasattr hex int isinstance issubclass iter len list map max min next oct ord pow
    print property range repr reversed round set slice sorted staticmethod str sum super tuple type zip object
    NotImplemented Ellipsis
    ArithmeticError AssertionError AttributeError BufferError EOFError Exception ExceptionGroup FileExistsError
    FileNotFoundError FloatingPointError ImportError IndexError IsADirectoryError KeyError LookupError
    ModuleNotFoundError NameError NotADirectoryError NotImplementedError OSError OverflowError PermissionError
    RecursionError RuntimeError StopAsyncIteration StopIteration SyntaxError TimeoutError TypeError UnboundLocalError
    UnicodeDecodeError UnicodeEncodeError UnicodeError ValueError ZeroDivisionError
    BytesWarning DeprecationWarning FutureWarning ImportWarning PendingDeprecationWarning ResourceWarning
    RuntimeWarning SyntaxWarning UnicodeWarning UserWarning Warning
    """
)
"""Builtins that reach nothing. Some are only harmless as they are called: see ``calls.py``."""
ONLY_CALLED = frozenset({"getattr", "type", "print"})
"""Builtins that may be called and not handed on."""

HARMLESS: dict[str, str] = {
    "__future__": "absolute_import annotations division generators generator_stop nested_scopes print_function "
    "unicode_literals with_statement",
    "abc": "ABC abstractmethod",
    "array": "array",
    "base64": "b64decode b64encode b32decode b32encode b16decode b16encode urlsafe_b64decode urlsafe_b64encode",
    "binascii": "hexlify unhexlify crc32 Error",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "calendar": "monthrange isleap leapdays timegm day_name day_abbr month_name month_abbr monthcalendar",
    "cmath": "*",
    "codecs": "BOM_UTF8 BOM_UTF16 BOM_UTF16_LE BOM_UTF16_BE",
    "collections": "ChainMap Counter OrderedDict abc defaultdict deque",
    "collections.abc": "*",
    "colorsys": "*",
    "contextlib": "contextmanager asynccontextmanager nullcontext suppress closing",
    "copy": "copy deepcopy",
    "dataclasses": "fields asdict astuple replace is_dataclass",
    "datetime": "date datetime time timedelta timezone tzinfo UTC MINYEAR MAXYEAR",
    "decimal": "*",
    "difflib": "SequenceMatcher get_close_matches unified_diff ndiff context_diff",
    "email.utils": "parseaddr formataddr parsedate parsedate_tz parsedate_to_datetime format_datetime",
    "errno": "*",
    "fnmatch": "fnmatch fnmatchcase filter translate",
    "fractions": "Fraction",
    "functools": "partial reduce wraps cmp_to_key",
    "graphlib": "TopologicalSorter CycleError",
    "hashlib": "md5 sha1 sha224 sha256 sha384 sha512 blake2b blake2s",
    "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
    "hmac": "compare_digest",
    "html": "escape unescape",
    "inspect": "Parameter cleandoc isclass iscoroutinefunction isfunction isgenerator "
    "isgeneratorfunction ismethod isawaitable isasyncgen isasyncgenfunction iscoroutine isroutine isbuiltin "
    "isabstract isdatadescriptor isgetsetdescriptor ismethoddescriptor ismemberdescriptor",
    "io": "BytesIO StringIO TextIOBase RawIOBase BufferedIOBase IOBase UnsupportedOperation SEEK_SET SEEK_CUR SEEK_END",
    "ipaddress": "*",
    "itertools": "accumulate chain combinations combinations_with_replacement compress dropwhile filterfalse groupby "
    "islice pairwise permutations product repeat starmap takewhile tee zip_longest batched count cycle",
    "json": "dumps loads JSONDecodeError JSONEncoder",
    "keyword": "iskeyword kwlist issoftkeyword",
    "math": "*",
    "numbers": "*",
    "operator": "add sub mul truediv floordiv mod neg pos eq ne lt le gt ge and_ or_ xor not_ is_ is_not contains "
    "itemgetter index indexOf countOf concat abs inv invert lshift rshift pow matmul truth",
    "os": "sep altsep linesep pathsep extsep fspath PathLike",
    "os.path": "basename commonpath commonprefix dirname isabs join normcase normpath split splitdrive splitext "
    "relpath",
    "pathlib": "PurePath PurePosixPath PureWindowsPath",
    "posixpath": "basename commonpath commonprefix dirname isabs join normpath split splitext",
    "ntpath": "basename commonprefix dirname isabs join normpath split splitdrive splitext",
    "re": "*",
    "reprlib": "recursive_repr",
    "shlex": "split quote join",
    "statistics": "*",
    "string": "ascii_letters ascii_lowercase ascii_uppercase capwords digits hexdigits octdigits punctuation printable "
    "whitespace",
    "stringprep": "*",
    "struct": "pack unpack calcsize unpack_from pack_into error Struct",
    "sys": "maxsize byteorder float_info hash_info int_info intern maxunicode version_info",
    "textwrap": "*",
    "types": "MappingProxyType SimpleNamespace NoneType GenericAlias UnionType EllipsisType NotImplementedType",
    "typing": "AbstractSet Annotated Any AnyStr AsyncGenerator AsyncIterable AsyncIterator Awaitable BinaryIO "
    "ByteString Callable ChainMap ClassVar Collection Concatenate Container Coroutine Counter DefaultDict Deque "
    "Dict Final FrozenSet Generator Generic Hashable IO Iterable Iterator ItemsView KeysView List Literal Mapping "
    "MutableMapping MutableSequence MutableSet Never NoReturn Optional OrderedDict ParamSpec "
    "Pattern Match Protocol Reversible Self Sequence Set Sized SupportsInt SupportsFloat SupportsIndex "
    "SupportsAbs Text TextIO Tuple Type TypeGuard TypeVar Union Unpack ValuesView assert_never cast "
    "final no_type_check overload runtime_checkable TYPE_CHECKING NotRequired Required TypeAlias",
    "unicodedata": "*",
    "urllib.parse": "*",
    "warnings": "warn",
    "zlib": "compress decompress crc32 adler32 error",
}
"""Standard modules, and the names in them (``*``: all that are public) that an unattended change may use anew."""
ONLY_DIRECT = frozenset({"contextlib.suppress", "functools.wraps", "functools.partial"})
"""What may be called and not handed on under another name."""
ONE_ARGUMENT = frozenset({"functools.wraps"})
"""What takes the names of attributes besides its first argument."""
HARMLESS_NAMES = frozenset(f"{module}.{name}" for module, names in HARMLESS.items() for name in words(names))

METHODS = words(
    """
    add append as_integer_ratio bit_count bit_length capitalize casefold center clear conjugate copy count decode
    denominator difference difference_update discard elements encode end endswith expandtabs extend extendleft find
    findall finditer flatten format fromhex fromkeys fullmatch get getvalue group groupdict groups hex imag index insert
    intersection intersection_update is_integer isalnum isalpha isascii isdecimal isdigit isdisjoint isidentifier
    islower isnumeric isprintable isspace issubset issuperset istitle isupper items join keys lastindex ljust lower
    lstrip maketrans match maxlen most_common move_to_end name args numerator partition pop popitem popleft pos pattern
    real remove removeprefix removesuffix replace reverse rfind rindex rjust rotate rpartition rsplit rstrip search
    setdefault sort span split splitlines start startswith string strip sub subn subtract swapcase
    symmetric_difference symmetric_difference_update title to_bytes from_bytes translate union update upper values
    zfill appendleft day month year hour minute second microsecond tzinfo days seconds microseconds total_seconds
    isoformat isocalendar isoweekday weekday utcoffset dst tzname date timetuple toordinal fromordinal combine
    astimezone
    strftime strptime quantize normalize to_integral_value as_tuple is_nan is_signed is_zero is_infinite compare parts
    stem suffix suffixes parent parents relative_to with_suffix with_name joinpath as_posix is_absolute read readline
    readlines seek tell parameters annotation default kind empty scheme netloc path query fragment hostname port
    geturl chain from_iterable __init__ __name__ __qualname__ __module__ __len__ __iter__ __str__ __repr__
    message cache_clear value
    """
)
"""Attributes of builtin types and of the harmless modules' objects."""

DENIED = words(
    """
    system popen spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe execl execle execlp execlpe execv
    execve execvp execvpe posix_spawn posix_spawnp fork forkpty kill killpg abort startfile putenv unsetenv chmod
    lchmod chown lchown symlink unlink rmdir removedirs rmtree rename renames mkdir makedirs write_text write_bytes
    touch hardlink_to symlink_to link_to truncate ftruncate sendfile connect connect_ex sendall sendto urlopen
    urlretrieve create_connection create_subprocess_exec create_subprocess_shell subprocess_exec subprocess_shell
    run_in_executor load_module exec_module find_spec import_module resolve_name locate reload extractall
    get_type_hints getenv getenvb environb expanduser expandvars home getuser getpid getppid gethostname
    register_at_fork set_threshold get_objects get_referrers get_referents currentframe getouterframes getinnerframes
    settrace setprofile addaudithook attrgetter methodcaller enable_load_extension load_extension executescript
    set_trace runcall runctx runeval runsource runcode interact format_map vformat get_field excepthook displayhook
    unraisablehook breakpointhook now utcnow today time_ns perf_counter perf_counter_ns monotonic monotonic_ns
    process_time getrandbits randint randrange uuid1 uuid4 token_hex token_bytes token_urlsafe mro tofile savez
    savetxt to_csv to_json to_pickle to_excel to_sql to_parquet to_hdf getattr_static meta_path path_hooks
    path_importer_cache register_module call_soon call_later add_signal_handler create_task dictConfig fileConfig
    addHandler runtest pytestmark pytest_plugins skipTest addCleanup set_start_method
    f_back f_globals f_locals f_builtins f_code f_trace f_lineno gi_frame gi_code cr_frame cr_code ag_frame ag_code
    tb_frame tb_next tb_lineno co_code co_consts co_names co_filename co_name co_varnames func_globals func_code im_func
    os sys subprocess socket builtins importlib ctypes gc inspect threading multiprocessing shutil signal pickle marshal
    """
)
"""Attributes that an unattended change never uses anew, of whatever object."""

RUNNERS = frozenset(
    {"pytest", "_pytest", "unittest", "nose", "doctest", "hypothesis", "tox", "coverage", "pluggy", "xdist", "trial"}
)
RUNNER_WORDS = ("pytest", "unittest", "doctest", "conftest", "PYTEST_", "nosetests", "hypothesis")

DUNDERS = frozenset(
    f"__{name}__"
    for name in words(
        """
    init repr str bytes format len iter next reversed getitem setitem delitem contains missing call add sub mul matmul
    truediv floordiv mod divmod pow lshift rshift and xor or radd rsub rmul rmatmul rtruediv rfloordiv rmod rdivmod rpow
    rlshift rrshift rand rxor ror iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior neg
    pos abs invert complex int float index round trunc floor ceil enter aenter aiter anext await copy deepcopy
    post_init length_hint dir sizeof
    """
    )
)
"""Special methods whose body may change. What decides comparison or runs unseen is not among them."""
DECIDING = frozenset(
    f"__{name}__"
    for name in words(
        """
    eq ne lt le gt ge hash bool del new exit aexit getattr getattribute setattr delattr get set delete set_name
    init_subclass class_getitem instancecheck subclasscheck subclasshook prepare mro_entries mro reduce reduce_ex
    getstate setstate getnewargs getnewargs_ex import build_class fspath array_ufunc array_function array array_wrap
    buffer release_buffer objclass slots
    """
    )
)
"""Special methods that decide what is equal, true or caught, or that run where nobody calls them."""
DUNDER_ATTRIBUTES = frozenset({"__name__", "__qualname__", "__module__", "__init__"}) | DUNDERS
MAY_BE_NEW = frozenset(
    f"__{name}__"
    for name in words(
        """
        init post_init repr str format bytes dir sizeof length_hint copy deepcopy reversed missing call iter next aiter
        anext getitem setitem delitem iadd isub imul imatmul itruediv ifloordiv imod ipow ilshift irshift iand ixor ior
        """
    )
)
"""Those of them that a class may get: none decides what is equal, nearly equal, true, or in something."""
SHOWS = frozenset({"__repr__", "__str__", "__format__", "__dir__", "__sizeof__", "__length_hint__"})
"""Those that tools call unseen: they keep nothing."""
LOOKED_UP = frozenset(
    f"__{name}__"
    for name in words(
        "getattr setattr delattr get set delete set_name init_subclass class_getitem new getstate setstate getnewargs "
        "getnewargs_ex"
    )
)
"""Those of :data:`DECIDING` whose answers may change where nothing else does."""
PLAIN_CALLS = words(
    "abs bool bytes dict float frozenset int isinstance issubclass len list max min round set str sum tuple"
)
"""Builtins that such an answer may be made with."""
TOLD = frozenset(
    f"__{name}__"
    for name in words(
        "forward_arg origin args parameters supertype metadata bound constraints total required_keys optional_keys "
        "cause context suppress_context notes members match_args dataclass_fields version all author weakref"
    )
)
"""Attributes that only tell something: of types, errors and enumerations. They may be read, and named in a text."""
MODULES_OWN = frozenset(
    f"__{name}__"
    for name in words(
        "builtins loader spec file path cached package dict import build_class debug getattr dir annotations"
    )
)
"""What every module has: never imported from one."""
UNDECIDING_BASES = frozenset(
    {"object", "abc.ABC", "typing.Hashable", "typing.Sized", "typing.Iterable", "typing.Container"}
    | {
        f"collections.abc.{name}"
        for name in words("Hashable Sized Iterable Iterator Container Collection Reversible Callable")
    }
)
"""Bases without a say in what is equal or true."""

STATEFUL = frozenset(
    {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "discard", "remove",
     "appendleft", "extendleft", "popleft", "move_to_end", "sort", "reverse", "subtract", "rotate"}
)  # fmt: skip
"""Methods that keep something in what they are called on."""
CONSTANT_MAKERS = frozenset(
    {"frozenset", "tuple", "str", "int", "float", "bytes", "dict", "list", "set", "object", "bool", "range",
     "re.compile", "decimal.Decimal", "fractions.Fraction", "struct.Struct", "typing.TypeVar", "collections.namedtuple",
     "datetime.date", "datetime.datetime", "datetime.timedelta", "datetime.timezone", "math.sqrt", "math.log",
     "types.MappingProxyType", "operator.itemgetter", "collections.OrderedDict", "str.maketrans", "bytes.maketrans"}
)  # fmt: skip
"""What a module or a class may call to make one of its values."""
