"""Rung 4: machines by components of their names; ports; private networks by name and port only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance.irongate.tool.domains import refuse_hosts
from governance.irongate.tool.owner_rules import ToolPolicySettings

LISTED = ("docs.python.org", "*.example.org", "localhost:8888", "bücher.example", "[::1]:9000", "*.deep.example:8443")


@pytest.mark.parametrize(
    ("netloc", "private", "allowed"),
    [
        ("docs.python.org:443", False, True),
        ("DOCS.Python.ORG.:80", False, True),
        ("docs.python.org", False, True),
        ("docs.python.org:8080", False, False),
        ("docs.python.org:443", True, False),
        ("evil-docs.python.org:443", False, False),
        ("docs.python.org.evil.example:443", False, False),
        ("python.org:443", False, False),
        ("example.org:443", False, False),
        ("a.example.org:443", False, True),
        ("a.b.example.org:443", False, True),
        ("aexample.org:443", False, False),
        ("example.org.evil.net:443", False, False),
        ("a.example.org:443", True, False),
        ("localhost:8888", True, True),
        ("localhost:8889", True, False),
        ("localhost:443", True, False),
        ("127.0.0.1:8888", True, False),
        ("[::1]:9000", True, True),
        ("[0:0:0:0:0:0:0:1]:9000", True, True),
        ("[::1]:9001", True, False),
        ("xn--bcher-kva.example:443", False, True),
        ("b\u00fccher.example:443", False, True),
        ("bu\u0308cher.example:443", False, True),
        ("x.deep.example:8443", False, True),
        ("x.deep.example:8443", True, False),
        ("x.deep.example:443", False, False),
        ("", False, False),
        ("user@docs.python.org:443", False, False),
        ("docs.python.org:443:443", False, False),
        ("docs.python.org%00.evil.example", False, False),
        ("\u0501ocs.python.org:443", False, False),  # a Cyrillic letter that looks like d
    ],
)
def test_what_is_listed(netloc: str, private: bool, allowed: bool) -> None:
    assert (refuse_hosts([netloc], LISTED, private=private) == "") is allowed


def test_all_machines_of_a_call_must_be_listed() -> None:
    hosts = ["docs.python.org:443", "evil.example:443"]
    assert refuse_hosts(hosts, LISTED, private=False).startswith("the owner has not")


@pytest.mark.parametrize(
    "entry",
    ["*", "*.", "*.org", "", "https://docs.python.org", "a b", "x:0", "x:99999", "*.1.2", "a/b", "2130706433", "1.2.3"],
)
def test_an_entry_that_names_no_machine_is_no_setting(entry: str) -> None:
    with pytest.raises(ValidationError):
        ToolPolicySettings(domains=(entry,))


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
HOST = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


@given(HOST, HOST, st.sampled_from([80, 443, 8080]), st.booleans(), st.booleans())
def test_only_components_count(host: str, listed: str, port: int, below: bool, private: bool) -> None:
    entry = f"*.{listed}" if below else listed
    parts, known = host.split("."), listed.split(".")
    inside = parts[-len(known) :] == known and (len(parts) > len(known) if below else len(parts) == len(known))
    expected = inside and port != 8080 and not private
    assert (refuse_hosts([f"{host}:{port}"], [entry], private=private) == "") is expected


@given(st.lists(LABEL, min_size=1, max_size=3).map(".".join), HOST, st.booleans())
def test_a_machine_below_is_below_only_by_a_dot(prefix: str, listed: str, dotted: bool) -> None:
    host = f"{prefix}{'.' if dotted else ''}{listed}"
    assert (refuse_hosts([f"{host}:443"], [f"*.{listed}"], private=False) == "") is (dotted or _below(host, listed))


def _below(host: str, listed: str) -> bool:
    return host.split(".")[-listed.count(".") - 1 :] == listed.split(".") and host.count(".") > listed.count(".")


@given(st.text(max_size=60), st.booleans())
def test_whatever_is_asked_there_is_an_answer(netloc: str, private: bool) -> None:
    said = refuse_hosts([netloc], LISTED, private=private)
    assert said == refuse_hosts([netloc], LISTED, private=private)
    assert said == "" or said.endswith(".")


@given(st.lists(st.sampled_from(LISTED), max_size=3), st.sampled_from(LISTED), st.text(max_size=20) | HOST)
def test_a_longer_list_never_takes_a_machine_away(listed: list[str], more: str, netloc: str) -> None:
    if refuse_hosts([netloc], listed, private=False) == "":
        assert refuse_hosts([netloc], [*listed, more], private=False) == ""
