"""Reading pictures with a real program in a real sandbox."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from sensors.vision.screen_text import recognise
from tests.repos import host_env, make_places, make_repo
from tests.sensors.vision.pictures import FRAMES, PRINTED, png
from tools.ocr import SandboxedOcr
from tools.sandbox.choice import choose
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Sandbox

FILES = ["shop/cart.py", "tests/test_cart.py"]


@pytest.fixture
async def sandbox(tmp_path: Path) -> Sandbox:
    choice = await choose(SandboxSettings(), make_places(tmp_path, make_repo(tmp_path / "repo")), host_env())
    if choice.sandbox is None:
        pytest.skip(choice.remedy)
    return choice.sandbox


def made(sandbox: Sandbox | None, program: str = "tesseract", limit_s: float = 60) -> SandboxedOcr:
    return SandboxedOcr(
        program=program, languages="eng", limit_s=limit_s, env=host_env(), sandbox=lambda: sandbox,
        heavy=asyncio.Semaphore(1),
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed (apt install tesseract-ocr)")
async def test_tesseract_reads_a_traceback_and_a_failing_test_off_pictures(sandbox: Sandbox) -> None:
    ocr = made(sandbox)
    assert await asyncio.to_thread(ocr.missing) == ("", "")
    text, why = await ocr.read((FRAMES / "traceback.png").read_bytes())
    assert text is not None, why
    seen = recognise(text, FILES, top="shop")
    assert seen is not None
    assert (seen.path, seen.places[0].line, seen.error) == ("shop/cart.py", 4, "ZeroDivisionError: division by zero")
    text, why = await ocr.read((FRAMES / "pytest.jpg").read_bytes())
    assert text is not None, why
    seen = recognise(text, FILES, top="shop")
    assert seen is not None and seen.tests == (("tests/test_cart.py", "test_total_with_discount"),)
    text, why = await ocr.read(b"\x89PNG\r\n\x1a\n and nothing of a picture")
    assert text is None and "tesseract failed: " in why


def program(folder: Path, text: str) -> str:
    path = folder / "reader"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


async def test_another_program_by_its_path_and_within_bounds(sandbox: Sandbox, tmp_path: Path) -> None:
    text, why = await made(sandbox, program(tmp_path, PRINTED)).read(png("KeyError: 1"))
    assert text is not None and "\nKeyError: 1\n" in text, why
    text, why = await made(sandbox, program(tmp_path, "#!/bin/sh\nsleep 60\n"), limit_s=0.5).read(png())
    assert text is None and "did not come to an end" in why
    text, why = await made(sandbox, program(tmp_path, "#!/bin/sh\necho no >&2\nexit 3\n")).read(png())
    assert (text, why.endswith("failed: no")) == (None, True)
    inside = program(tmp_path, f"#!/bin/sh\ncat {tmp_path}/repo/README.md\n")
    text, why = await made(sandbox, inside).read(png())
    assert text is None and "failed" in why  # of the host it sees no more than any other code


async def test_without_a_program_or_a_sandbox(sandbox: Sandbox) -> None:
    why, remedy = made(sandbox, "no-such-program").missing()
    assert why == "no-such-program is not installed" and "apt install tesseract-ocr" in remedy
    assert (await made(sandbox, "no-such-program").read(png()))[0] is None
    assert made(None, "sh").missing()[0] == "no sandbox holds here"
