"""A folder of advisories and a real HTTP server that speaks as the OSV API does; slow, endless and broken ones too."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ledger.errors import AdvisoriesUnavailable
from sensors.advisories import AdvisorySettings
from sensors.advisories.sources import Folder, OsvApi, sources_of
from tests.sensors.advisories.osv_server import Fault, breaks_off, drips, endless, osv_server, says

FOLDER = Path(__file__).parent / "osv"
PINNED = {("paper-clips", "1.2"), ("jinja2", "3.1.2"), ("glue", "1.0")}
CLIPS = {"GHSA-aaaa-bbbb-cccc", "PYSEC-2026-11", "PYSEC-2026-12", "PYSEC-2026-13"}
JINJA = "GHSA-h5c8-rqwp-cp95"


async def test_a_folder_gives_what_concerns_the_pins_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "osv" / "PyPI")
    found = await Folder(AdvisorySettings(folder=str(tmp_path / "osv"))).about(PINNED)
    assert {a.id for a in found.advisories} == {*CLIPS, JINJA} and found.note == ""
    (tmp_path / "osv" / "broken.json").write_text('{"id": "X-1", "affected": [{"package"')
    (tmp_path / "osv" / "large.json").write_text(json.dumps({"id": "X-2", "affected": [], "details": "x" * 9_000}))
    (tmp_path / "osv" / "list.json").write_text("[]")
    os.mkfifo(tmp_path / "osv" / "pipe.json")
    found = await Folder(AdvisorySettings(folder=str(tmp_path / "osv"), advisory_bytes=9_000)).about(PINNED)
    assert len(found.advisories) == 5 and found.note.startswith("3 advisories of ")
    with pytest.raises(AdvisoriesUnavailable, match="no folder that can be read"):
        await Folder(AdvisorySettings(folder=str(tmp_path / "nowhere"))).about(PINNED)


async def test_the_api_is_asked_page_by_page_and_an_advisory_is_read_once(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "osv")
    async with osv_server(tmp_path / "osv") as server:
        api = OsvApi(AdvisorySettings(api=f"{server.url}/"))
        found = await api.about(PINNED)
        assert {a.id for a in found.advisories} == {*CLIPS, JINJA}
        assert server.asked.count("/v1/querybatch") == 4 and len(server.asked) == 9
        first = server.queries[0]
        assert first == {"package": {"name": "glue", "ecosystem": "PyPI"}, "version": "1.0"}
        changed = tmp_path / "osv" / f"{JINJA}.json"
        changed.write_text(changed.read_text().replace("2026-02-03", "2026-03-03"))
        server.asked.clear()
        assert len((await api.about(PINNED)).advisories) == 5
        assert [path for path in server.asked if "vulns" in path] == [f"/v1/vulns/{JINJA}"]
        few = await OsvApi(AdvisorySettings(api=server.url, most_advisories=2)).about(PINNED)
        assert len(few.advisories) == 2 and few.note == "3 advisories are too many"


async def test_what_was_read_before_a_failure_is_not_asked_for_again() -> None:
    async with osv_server(FOLDER) as server:
        api = OsvApi(AdvisorySettings(api=server.url))
        server.faults["/v1/vulns/PYSEC"] = breaks_off
        with pytest.raises(AdvisoriesUnavailable):
            await api.about(PINNED)
        server.faults.clear()
        server.asked.clear()
        assert len((await api.about(PINNED)).advisories) == 5
        assert [path for path in server.asked if "GHSA" in path] == []


ONE = json.dumps({"results": [{"vulns": [{"id": "../../../secret"}]}]}).encode()
FOREVER = json.dumps({"results": [{"vulns": [], "next_page_token": "again"}]}).encode()


@pytest.mark.parametrize(
    ("path", "fault", "words"),
    [
        ("/v1/querybatch", drips, "took longer than"),
        ("/v1/querybatch", endless, "answered more than 4096 bytes"),
        ("/v1/querybatch", breaks_off, "cannot be asked: RemoteProtocolError"),
        ("/v1/querybatch", says(b"<html>"), "not in the form of OSV"),
        ("/v1/querybatch", says(b'{"results": []}'), "1 questions with 0 results"),
        ("/v1/querybatch", says(ONE), "not in the form of OSV: results.0.vulns.0.id"),
        ("/v1/querybatch", says(FOREVER), "more than 20 pages"),
        ("/v1/querybatch", says(b"{}", "500 Internal Server Error"), "answered 500"),
        ("/v1/querybatch", says(b"", "302 Found", "Location: http://127.0.0.1:1/"), "answered 302"),
        ("/v1/querybatch", says(gzip.compress(b" " * 9_000_000), "200 OK", "Content-Encoding: gzip"), "packs"),
        ("/v1/vulns/", says(b"{}", "404 Not Found"), "answered 404 to /v1/vulns/"),
        ("/v1/vulns/", says(b'{"id": "GHSA-h5c8-rqwp-cp95", "affected": 1}'), "not in the form of OSV: affected"),
        ("/v1/vulns/", endless, "answered more than 2048 bytes"),
        ("/v1/vulns/", says(b"[" * 1_500), "not in the form of OSV"),
    ],
)
async def test_an_api_that_does_not_answer_as_it_should_is_named(path: str, fault: Fault, words: str) -> None:
    async with osv_server(FOLDER) as server:
        server.faults[path] = fault
        bounds: dict[str, Any] = {"answer_bytes": 4_096, "advisory_bytes": 2_048}
        bounds["timeout_s"] = 0.3 if fault is drips else 60
        api = OsvApi(AdvisorySettings(api=server.url, **bounds))
        with pytest.raises(AdvisoriesUnavailable) as caught:
            await api.about({("jinja2", "3.1.2")})
        assert words in str(caught.value) and server.url in str(caught.value)


@pytest.mark.parametrize("results", [b'{"vulns": [' + b"{}," * 100_000 + b"{}]}", b"1," * 100_000 + b"1"])
async def test_of_many_wrong_entries_the_first_is_named(results: bytes) -> None:
    """A sentence for each would take a kilobyte for every three bytes of the answer."""
    async with osv_server(FOLDER) as server:
        server.faults["/v1/querybatch"] = says(b'{"results": [' + results + b"]}")
        with pytest.raises(AdvisoriesUnavailable, match="not in the form of OSV") as caught:
            await OsvApi(AdvisorySettings(api=server.url)).about({("jinja2", "3.1.2")})
    cause = caught.value.__cause__
    assert isinstance(cause, ValidationError) and cause.error_count() < 5


async def test_nobody_there() -> None:
    async with osv_server(FOLDER) as server:
        url = server.url
    with pytest.raises(AdvisoriesUnavailable, match="cannot be asked: ConnectError"):
        await OsvApi(AdvisorySettings(api=url)).about(PINNED)


@pytest.mark.parametrize(
    "wrong",
    [
        {"api": "http://api.osv.dev"}, {"api": "ftp://x"}, {"api": "https://"}, {"api": "https://u:p@api.osv.dev"},
        {"api": "api.osv.dev"}, {"folder": "osv"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AdvisorySettings.model_validate(wrong)
    assert sources_of(AdvisorySettings()) == ()
