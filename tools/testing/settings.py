"""Settings of the test runner."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class TestSettings(Frozen):
    """How the repository's own tests are found and run."""

    __test__ = False

    python: str | None = Field(
        None,
        min_length=1,
        description="Interpreter (or environment folder) that runs the tests; not set: found by looking.",
    )
    args: tuple[str, ...] = Field((), description='Further pytest arguments, e.g. ["-m", "not slow"].')
    import_roots: tuple[str, ...] = Field(
        (),
        description='Folders of the repository that hold importable code, e.g. ["src", "."]; empty: found by looking.',
    )
    readable: tuple[str, ...] = Field(
        (),
        description="Folders outside the repository that the tests may read (absolute, or below ~): shared test data, "
        "packages that a .pth file of their environment names. Never the daemon's own.",
    )
    suite_s: float = Field(120.0, gt=0, description="Seconds that a run of the whole suite may take.")
    scoped_s: float = Field(60.0, gt=0, description="Seconds that a run of chosen tests may take.")
    test_s: float = Field(
        30.0, gt=0, description="Seconds that one test may take; one that takes longer is stopped and counts as failed."
    )
    probe_s: float = Field(15.0, gt=0, description="Seconds that an interpreter may take to say what it is.")
    output_chars: int = Field(20_000, ge=1_000, description="Characters of a run's output that are kept.")
