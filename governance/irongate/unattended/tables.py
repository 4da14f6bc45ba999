"""The lists of gate 20: builtins, methods and names of the standard library that reach nothing outside of a program."""

from __future__ import annotations

from governance.irongate.tables import word_set

ERRORS = word_set(
    """
    ArithmeticError AttributeError BufferError EOFError FileExistsError FileNotFoundError FloatingPointError ImportError
    IndexError IsADirectoryError KeyError LookupError ModuleNotFoundError NameError NotADirectoryError
    NotImplementedError OSError OverflowError PermissionError RecursionError RuntimeError StopAsyncIteration
    StopIteration SyntaxError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError
    UnicodeError ValueError ZeroDivisionError
    """
)
"""Errors that a change may raise."""
TYPES = word_set("bool bytearray bytes complex dict float frozenset int list object range set slice str tuple")
CALLABLES = word_set("abs bool bytes float frozenset int len list max min ord repr round set sorted str sum tuple")
"""Builtins that may be handed to what calls them (``key=``, ``map``, ``filter``)."""
BUILTINS = (
    TYPES
    | CALLABLES
    | ERRORS
    | word_set("all any ascii bin callable divmod enumerate filter hex isinstance issubclass map oct reversed zip")
    | word_set("Warning DeprecationWarning FutureWarning RuntimeWarning UserWarning NotImplemented Ellipsis Exception")
)
"""Builtins that a change may call or name. ``getattr``, ``hasattr``, ``iter``, ``next`` and ``type`` have their own
rules in ``expressions.py``."""

METHODS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(
        word_set(
            "capitalize casefold isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable "
            "isspace istitle isupper lower swapcase title upper hex items keys values copy bit_length bit_count "
            "is_integer as_integer_ratio conjugate weekday isoweekday isocalendar total_seconds toordinal timetuple "
            "utcoffset dst tzname groups most_common elements is_nan is_infinite is_signed"
        ),
        (0, 0),
    ),
    **dict.fromkeys(word_set("expandtabs lstrip rstrip strip splitlines groupdict encode decode date time"), (0, 1)),
    **dict.fromkeys(word_set("split rsplit"), (0, 2)),
    **dict.fromkeys(word_set("partition rpartition removeprefix removesuffix zfill translate join strftime"), (1, 1)),
    **dict.fromkeys(word_set("center ljust rjust"), (1, 2)),
    **dict.fromkeys(word_set("count index find rindex rfind startswith endswith"), (1, 3)),
    **dict.fromkeys(
        word_set("difference intersection symmetric_difference union isdisjoint issubset issuperset"), (1, 1)
    ),
    **dict.fromkeys(word_set("group span"), (0, 2)),
    "isoformat": (0, 2),
    "replace": (2, 3),
}
"""Methods of builtin types, with the fewest and most arguments that they take: of texts, numbers, containers, dates and
matches. None changes what it is called on. Two words of ``replace`` part it from a path's, which moves a file."""
WORDS_OF: dict[str, frozenset[str]] = {
    "split": word_set("sep maxsplit"),
    "rsplit": word_set("sep maxsplit"),
    "splitlines": word_set("keepends"),
    "encode": word_set("encoding errors"),
    "decode": word_set("encoding errors"),
    "isoformat": word_set("sep timespec"),
    "replace": word_set("year month day hour minute second microsecond tzinfo fold"),
}
"""Keywords that these methods take."""
KEEPING = word_set(
    "append extend insert add update setdefault pop popitem clear discard remove appendleft extendleft popleft sort "
    "reverse"
)
"""Methods that change what they are called on."""
ADDING = word_set("append extend insert add update setdefault appendleft extendleft")
"""Those of them that take nothing away."""
PURE = word_set("joinpath with_suffix with_name with_stem relative_to is_relative_to is_absolute as_posix")
"""Methods of paths that only compute another."""
GIVING_OUT = word_set("get setdefault pop popitem popleft values items keys copy")
"""Methods that give out what a container holds."""
CHANGING = frozenset({"next", "heapq.heapify", "heapq.heappop", "heapq.heappush"})
"""Listed names that change what they are given."""
FIELDS = word_set(
    "year month day hour minute second microsecond tzinfo days seconds microseconds real imag numerator denominator "
    "start stop step args name value stem suffix"
)
"""Attributes of builtin types and the standard library's plain objects."""

HARMLESS: dict[str, frozenset[str]] = {
    module: word_set(names)
    for module, names in {
        "__future__": "annotations division",
        "base64": "b64encode urlsafe_b64encode",
        "binascii": "crc32 hexlify ",
        "bisect": "bisect bisect_left bisect_right",
        "calendar": "isleap monthrange timegm",
        "collections": "ChainMap Counter OrderedDict deque",
        "collections.abc": "Callable Collection Container Generator Hashable ItemsView Iterable "
        "Iterator KeysView Mapping "
        "MutableMapping MutableSequence MutableSet Reversible Sequence Set Sized ValuesView",
        "copy": "copy deepcopy",
        "datetime": "UTC date datetime time timedelta timezone",
        "decimal": "Decimal ROUND_CEILING ROUND_DOWN ROUND_FLOOR ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP",
        "fractions": "Fraction",
        "functools": "partial reduce",
        "heapq": "heapify heappop heappush merge nlargest nsmallest",
        "html": "escape unescape",
        "inspect": "isclass iscoroutinefunction isfunction isgenerator isgeneratorfunction ismethod",
        "itertools": "accumulate chain chain.from_iterable combinations combinations_with_replacement count cycle "
        "dropwhile filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee "
        "zip_longest",
        "json": "",
        "math": "acos asin atan atan2 ceil copysign cos degrees e erf exp fabs factorial floor fmod fsum gcd "
        "hypot inf isclose isfinite isinf isnan isqrt lcm log log10 log2 modf nan pi prod radians sin "
        "sqrt tan tau trunc",
        "numbers": "Complex Integral Number Rational Real",
        "operator": "add and_ contains eq floordiv ge gt index inv is_ is_not le lt mod mul ne neg not_ "
        "or_ pos pow sub truediv truth xor",
        "os": "PathLike fspath ",
        "os.path": "basename commonprefix dirname isabs join normcase normpath split splitext",
        "re": "A ASCII DOTALL I IGNORECASE M MULTILINE S U UNICODE VERBOSE X compile escape findall finditer "
        "fullmatch match search split sub",
        "statistics": "fmean mean median mode pstdev stdev variance",
        "string": "ascii_letters ascii_lowercase ascii_uppercase digits hexdigits octdigits printable punctuation "
        "whitespace",
        "textwrap": "dedent fill indent shorten wrap",
        "types": "MappingProxyType NoneType SimpleNamespace",
        "typing": "Any Callable ClassVar Collection Dict Final FrozenSet Generic Hashable Iterable Iterator List "
        "Literal Mapping MutableMapping Optional Sequence Set TYPE_CHECKING Tuple Type TypeVar Union cast",
        "unicodedata": "category combining normalize",
        "urllib.parse": "quote quote_plus urlencode urljoin urlparse urlsplit urlunparse urlunsplit",
        "warnings": "warn",
    }.items()
}
"""Standard modules, and the names in them that a change may use: none reaches out, and none calls what it is given."""
NAMES = frozenset(f"{module}.{name}" for module, of in HARMLESS.items() for name in of)
MODULES = frozenset(HARMLESS)
PATTERNS = word_set("re.compile re.findall re.finditer re.fullmatch re.match re.search re.split re.sub")
"""What takes a pattern as its first argument: its text goes nowhere else."""
CALLING = {
    **dict.fromkeys(("map", "filter", "functools.reduce", "functools.partial"), 0),
    **dict.fromkeys((f"itertools.{name}" for name in word_set("dropwhile filterfalse starmap takewhile")), 0),
    **dict.fromkeys(("re.sub", "itertools.accumulate", "itertools.groupby"), 1),
}
"""What calls one of its arguments, and which."""
MATCHES = word_set("match search fullmatch findall finditer sub split")
"""Methods of a compiled pattern."""
DUNDER_FIELDS = word_set("__name__ __qualname__")
DECIDING = frozenset(
    f"__{name}__"
    for name in word_set(
        """
    eq ne lt le gt ge hash bool del new enter exit aenter aexit getattribute setattr delattr get set delete
    set_name init_subclass class_getitem instancecheck subclasscheck subclasshook prepare mro_entries mro reduce
    reduce_ex getstate setstate getnewargs getnewargs_ex import build_class fspath array_ufunc array_function array
    array_wrap buffer release_buffer contains len getattr
    """
    )
)
"""Special methods that decide what is equal, true, in something or caught, or that run without a call."""
ASKED = frozenset(
    f"__{name}__"
    for name in word_set(
        "len iter next reversed call getitem contains hash fspath name qualname forward_arg origin args"
    )
)
"""Special names that ``hasattr`` may ask for."""
GOT = frozenset({"__name__", "__qualname__", "__forward_arg__", "__origin__", "__args__"})
"""Special names that ``getattr`` may ask for."""
ACTS = word_set(
    """
    abort accept acquire addCleanup addHandler add_signal_handler addaudithook apply_async attrgetter bind
    breakpointhook call call_later call_soon check_call check_output chmod chown close commit communicate connect
    connect_ex copyfile copytree create_connection create_subprocess_exec create_subprocess_shell create_task
    currentframe delay delete delete_one dictConfig dispatch displayhook download dump emit enable_load_extension
    enqueue environb eval excepthook exec exec_module execl execle execlp execlpe execute executemany executescript
    execv execve execvp execvpe expanduser expandvars extractall fetch fileConfig find_one find_spec flush fork
    forkpty format_map ftruncate get_field get_objects get_referents get_referrers get_type_hints getenv getenvb
    gethostname getinnerframes getouterframes getpid getppid getrandbits getuser glob hardlink_to home import_module
    insert_one interact invoke is_dir is_file iterdir kill killpg lchmod lchown link_to listdir listen load
    load_extension load_module loads locate login makedirs makefile meta_path methodcaller mkdir monotonic
    monotonic_ns move mro now open patch path_hooks path_importer_cache perf_counter perf_counter_ns popen posix_spawn
    posix_spawnp post process_time publish put putenv quit randint randrange read read_bytes read_text recv recvfrom
    register_at_fork register_module release reload remove removedirs rename renames request resolve_name retrbinary
    rglob rmdir rmtree rollback run run_in_executor runcall runcode runctx runeval runsource runtest save savetxt
    savez scandir seek send sendall sendfile sendto set_start_method set_threshold set_trace setprofile settrace
    skipTest spawn spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe start startfile stat stop
    storbinary submit subprocess_exec subprocess_shell symlink symlink_to system terminate time_ns to_csv to_excel
    to_hdf to_json to_parquet to_pickle to_sql today tofile token_bytes token_hex token_urlsafe touch truncate unlink
    unraisablehook unsetenv update_one upload urlopen urlretrieve utcnow uuid1 uuid4 vformat walk write write_bytes
    write_text writelines
    """
)
"""What objects of libraries act with. Of a method of another name that the repository does not define, called in what
a changed function calls, nothing is held against that function."""
PLAIN = word_set(
    "re string math cmath numbers decimal fractions itertools bisect heapq unicodedata html calendar struct"
)
"""Standard modules of which nothing reaches out."""
INERT = PLAIN | word_set(
    "abc codecs collections contextlib copy dataclasses datetime enum functools inspect keyword operator textwrap time "
    "traceback typing weakref zlib"
)
"""Those, and modules of which only what acts by its name does."""
VERBS = word_set(
    "charge delete deploy destroy drop erase execute kill pay publish purge push revoke send shutdown sync transfer "
    "upload wipe write"
)
"""Words in the names of what acts for good."""
LOGS = word_set("log logger LOG LOGGER _log _logger")
LEVELS = word_set("debug info warning error exception critical log isEnabledFor")
"""Values of a module that write a log, and how they do."""
HIDDEN = word_set(
    """
    f_back f_globals f_locals f_builtins f_code f_trace f_lineno gi_frame gi_code cr_frame cr_code ag_frame ag_code
    tb_frame tb_next tb_lineno co_code co_consts co_names co_filename co_name co_varnames func_globals func_code im_func
    environ environb modules argv path meta_path path_hooks path_importer_cache stdin stdout stderr
    """
)
"""Attributes by which a program looks at frames, at its surroundings and at what is loaded."""
