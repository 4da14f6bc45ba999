"""Gate 15: shapes of keys, values beside a keyword, and what is blotted out. All keys are put together from pieces."""

from __future__ import annotations

import random
import string
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate.candidate import g15_secrets
from governance.irongate.secrets import redaction as secrets
from governance.irongate.secrets.detector import run_detector
from governance.irongate.secrets.redaction import SecretSpan, findings, redact
from ledger.vocabulary import Decision
from tests.secret_corpus import DRESSES, SHAPES, TOLD_BY_THEIR_END, Secret, corpus

RANDOM = random.Random(7)


def made(length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(RANDOM.choice(alphabet) for _ in range(length))


UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
KEYS = {
    "aws-access-key": "AK" + "IA" + made(16, UPPER),
    "github-token": "gh" + "p_" + made(36),
    "gitlab-token": "gl" + "pat-" + made(20),
    "slack-token": "xo" + "xb-" + made(12, string.digits) + "-" + made(24),
    "openai-key": "sk-" + "proj-" + made(48),
    "anthropic-key": "sk-" + "ant-api03-" + made(60),
    "huggingface-token": "hf" + "_" + made(34),
    "google-key": "AI" + "za" + made(35),
    "stripe-key": "sk" + "_live_" + made(24),
    "sendgrid-key": "SG" + "." + made(22) + "." + made(43),
    "npm-token": "np" + "m_" + made(36),
    "pypi-token": "py" + "pi-" + made(80),
    "jwt": "ey" + "J" + made(20) + ".ey" + "J" + made(40) + "." + made(43),
    "digitalocean-token": "do" + "p_v1_" + made(64, HEX),
    "discord-token": "M" + made(23) + "." + made(6) + "." + made(27),
    "mailchimp-key": made(32, HEX) + "-us" + "14",
    "square-key": "sq0" + "csp-" + made(43),
    "artifactory-key": "AK" + "Cp" + made(69),
    "private-key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n" + made(60) + "\n-----END OPENSSH PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", KEYS)
def test_every_shape_is_found_and_blotted_out(name: str) -> None:
    key = KEYS[name]
    text = f"before = 1\nvalue = '{key}'\nafter = 2\n"
    assert [f.rule for f in findings(text)] == [name]
    blotted = redact(text)
    assert key not in blotted
    assert f"[redacted:{name}]" in blotted
    assert blotted.startswith("before = 1\n")
    assert blotted.endswith("after = 2\n")
    verdict = g15_secrets.check(g15_secrets.SecretFacts(path="a.py", before=b"", after=text.encode()))
    assert verdict.decision is Decision.DENY
    assert key not in verdict.model_dump_json()


@pytest.mark.parametrize(
    "line",
    [
        'db_password = "{}"',
        "API_KEY={}",
        '"client_secret": "{}",',
        "authorization: Bearer {}",
        "token: str = '{}'",
        "export GITHUB_TOKEN={}",
        'config["secret_key"] = "{}"',
        "url = 'https://app:{}@db.internal/x'",
    ],
)
def test_values_beside_a_keyword(line: str) -> None:
    value = "q7Rz" + "P0vK2m" + "X9sLw4" + "TfYh8B"
    assert value not in redact(line.format(value))


@pytest.mark.parametrize(
    "line",
    [
        'password = "changeme-please-1234"',
        'token = os.environ["SERVICE_TOKEN_2"]',
        'api_key = "your-api-key-here-1"',
        'secret = "${VAULT_SECRET_PATH_1}"',
        'sha = "' + "0a1b2c3d" * 8 + '"',
        "def get_token(self, kind=1): ...",
        'token_type = "word_level_tokenizer"',
        "url = 'postgres://postgres:postgres@localhost/db'",
        "password_hasher = PBKDF2PasswordHasher",
        "sk-learn is a library",
        "task-force-and-more-words-in-a-row-here-42",
    ],
)
def test_ordinary_lines_stay(line: str) -> None:
    assert redact(line) == line


def test_no_text_takes_for_ever() -> None:
    """Whoever blots out holds up all else: a result of nothing but lines' ends must not stop the daemon."""
    texts = ["\n", " ", "a ", "export ", "password=", "password: 1\n", "x" * 60 + "token=1a"]
    code = f"from governance.irongate.secrets.redaction import redact\nfor t in {texts}: redact(t * (50_000 // len(t)))"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=60, check=True)


def test_only_new_secrets_in_added_lines_count() -> None:
    key = KEYS["github-token"]
    old = f"token = '{key}'\n"
    same_line = f"token = '{key}'  # rotated yearly\n"

    def judge(before: str, after: str) -> Decision:
        return g15_secrets.check(
            g15_secrets.SecretFacts(path="a.py", before=before.encode(), after=after.encode())
        ).decision

    assert judge(old, old + "x = 1\n") is Decision.ALLOW
    assert judge(old, same_line) is Decision.ALLOW
    assert judge("x = 1\n", old) is Decision.DENY


PIECES = st.sampled_from(
    [*KEYS.values(), "password = '", "'", '"', "\n", " ", "token=", "abc", "://u:", "@", "Bearer ", "="]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=8).map("".join))
def test_blotting_out_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


# --- every shape, in every dress -------------------------------------------------------------------------------------

CORPUS = {secret.name: secret for secret in corpus()}
NOT_WHERE_CUT = TOLD_BY_THEIR_END | {"asana", "notion of old"}
"""The first 60 % of these tell too little: their mark comes late, or their length is a part of their shape."""
BROKEN_TOO_OFTEN = frozenset({"rsa, escaped", "django", "digest"})
"""Broken at a width, these have marks of their own at the break, or no word goes on there."""


def leaked(secret: Secret, text: str, seen: str | None = None) -> list[str]:
    clean = redact(text)
    return [piece for piece in secret.windows(seen) if piece in clean]


def test_there_are_many_shapes() -> None:
    assert len(SHAPES) >= 150 and len({secret.text for secret in CORPUS.values()}) == len(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_a_secret_is_blotted_out_in_every_dress(name: str) -> None:
    for dress, wear in DRESSES.items():
        text = wear(CORPUS[name].text)
        assert leaked(CORPUS[name], text) == [], (dress, redact(text))
        assert redact(redact(text)) == redact(text), dress


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1_000), st.sampled_from(sorted(DRESSES)))
def test_also_other_secrets_of_these_shapes(seed: int, dress: str) -> None:
    missed = [s.name for s in corpus(seed) if leaked(s, DRESSES[dress](s.text))]
    assert len(missed) <= 1, missed  # by chance one in thousands looks like a word


def test_where_it_was_cut() -> None:
    for secret in CORPUS.values():
        part = max(secret.parts, key=len)
        at = secret.text.find(part)
        if len(part) < 36 or at < 0 or secret.name in NOT_WHERE_CUT:
            continue
        for share in (0.6, 0.8, 0.95):
            cut = secret.text[: at + int(len(part) * share)]
            for end in ("", "...", "\n"):
                assert leaked(secret, cut + end, cut) == [], (secret.name, share, redact(cut + end))


@pytest.mark.parametrize("width", [72, 80, 100])
def test_where_a_line_was_broken(width: int) -> None:
    for secret in CORPUS.values():
        part = secret.parts[0]
        at = secret.text.find(part)
        if "\n" in secret.text or len(part) < 36 or at < 0 or secret.name in BROKEN_TOO_OFTEN:
            continue
        line = " ".join(("x" * max(0, width - at - len(part) // 2 - 1), secret.text))
        text = "\n".join(line[begin : begin + width] for begin in range(0, len(line), width))
        assert leaked(secret, text, text) == [], (secret.name, redact(text))


ORDINARY = """
commit 0f3c2a9d4b5e6f708192a3b4c5d6e7f801928374
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
op-018f6d1c2b3a4d5e6f708192a3b4c5d6-test_failure 018f6d1c-2b3a-4d5e-6f70-8192a3b4c5d6
tests/test_auth.py::test_token_is_refreshed[key-1] FAILED in 0.12s
tests/test_password_reset.py::TestSecrets::test_api_key_42 - AssertionError: assert None is not None
INFO 2026-01-02T10:20:30:app:worker:ready (pid 12345) http://localhost:8000/token?next=/a/b/c
Ouro-Signal: test_failure sha256:aa55bb66cc77dd88ee99ff00112233445566778899aabbccddeeff0011223344
index 83db48f84ec878fbfb30b46d16630e944e34f205..d95f3ad14dee633a758d2e331151e950dd13e4ed 100644
password = getpass.getpass("Password: "); token = self._tokens[index + 1]; secret_key = settings.SECRET_KEY
def login(username: str, password: str = "", *, token: Token2 | None = None) -> Session: ...
api_key=config.api_key, access_key=AccessKey.from_env(env2), client_secret=secrets.token_hex(32)
raise ValueError("password must have 8 to 64 characters, a digit and a capital letter")
tokens_in=1234567 tokens_out=89 usd_micro=4200 ms=1532 id=call_0 sort_key=(1, 2, 3)
f"https://{user}:{password}@{host}:5432/{db}" and "postgres://user:pass@localhost/db"
Basic authentication is used; bearer of bad news; the secret of success: work; passwords: none
"""


@pytest.mark.parametrize("line", ORDINARY.strip().splitlines())
def test_names_and_hashes_that_a_reader_needs_stay(line: str) -> None:
    assert redact(line) == line


LOOKS_LIKE_ONE = {("urllib/request.py", "geheim$parole")}
"""What the standard library has that reads like a password: an example in its documentation."""


def test_nothing_of_the_standard_library_but_an_example_is_taken_for_a_secret() -> None:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [f for f in sorted(root.rglob("*.py")) if not {"site-packages", "test", "tests"} & {*f.parts}]
    assert len(files) >= 160
    for file in [*files[:: max(1, len(files) // 200)], root / "urllib/request.py"]:
        text = file.read_text(encoding="utf-8", errors="replace")
        found = {(str(file.relative_to(root)), text[f.start : f.end]) for f in findings(text, guesses=True)}
        assert found <= LOOKS_LIKE_ONE


def test_a_change_is_refused_for_a_key_and_not_for_what_a_person_may_have_made_up() -> None:
    text = 'login("me", password="kalido234!")\n'
    verdict = g15_secrets.check(g15_secrets.SecretFacts(path="a.py", before=b"", after=text.encode()))
    assert verdict.decision is Decision.ALLOW and "kalido234" not in redact(text)


UNITS = (
    "password=",
    "AccountKey=",
    "_authToken=//a/",
    "PuTTY-User-Key-File-2:",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "1.1.1.1:5432:a:b:",
    "cookie: a=",
    "token:\\\n",
    "eyJa.",
    "://a:b",
    "secret\\",
    "SG.",
    "Basic YTpi ",
    "aws_key 'a",
    "x" * 60 + "\n",
    "é token=",
    "machine a login b password ",
    "glagent-" + "a" * 1030,
)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.sampled_from(UNITS), min_size=1, max_size=4))
def test_hostile_texts_take_no_longer_than_their_length_allows(units: list[str]) -> None:
    """Twice the text, about twice the time: a search that goes back and forth would take four times as long."""
    unit = "".join(units)

    def seconds(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        start = time.process_time()
        redact(text)
        return time.process_time() - start

    one = seconds(20_000)
    assert seconds(80_000) <= 12 * one + 0.5


def test_the_detector_is_loaded_with_the_first_hint_only() -> None:
    code = (
        "import sys\nfrom governance.irongate.secrets.redaction import redact\n"
        "redact('nothing to see here, no key at all' * 9)\n"
        "assert 'detect_secrets' not in sys.modules\nredact('softlayer_api_key = ' + 'a1b2c3d4' * 8)\n"
        "assert 'detect_secrets' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], timeout=60, check=True)


def test_the_detector_finds_what_our_shapes_do_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"ibm_cos_hmac_secret_access_key = {made(48, HEX)}"
    assert "detected" in {f.rule for f in _only_detected(monkeypatch, text)}


def _only_detected(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[SecretSpan, ...]:
    monkeypatch.setattr(secrets, "find_beside_keywords", lambda text, lower, *, guesses: iter(()))
    monkeypatch.setattr(secrets, "SHAPES", ())
    return findings(text)


def test_both_ends_of_a_long_text_are_looked_at_by_the_detector() -> None:
    hint = "softlayer_api_key = none\n" * 5_000
    for text in (f"sl_key = '{made(64, HEX)}'\n{hint}", f"{hint}sl_key = '{made(64, HEX)}'\n"):
        places = list(run_detector(text, text.lower()))
        assert places and all(text[start:end].isalnum() for start, end in places)


CODE = (
    "openssl = k = 0\nx = openssl -k (exec)(text)\n",
    "zip = P = 0\nx = (zip, 0 -P,(exec)(text))\n",
    "password = f'x{(exec)(text)}'\n",
    "openssl = k = 0\nx = openssl -k +99999\n",
    "run('openssl x -k y;curl$IFS-evil')\n",
    "x = {'password':\n  f'x{(exec)(text)}'}\n",
)


@pytest.mark.parametrize("path", ["a.py", "a.sh"])
@pytest.mark.parametrize("text", CODE)
def test_code_that_would_be_blotted_out_before_the_owners_eyes_is_sent_back(text: str, path: str) -> None:
    if path == "a.sh" and "99999" in text:
        pytest.skip("a number is no code to a shell")
    assert redact(text) != text
    facts = g15_secrets.SecretFacts(path=path, before=b"x = 1\n", after=f"x = 1\n{text}".encode())
    assert g15_secrets.check(facts).rule == "gate15.hidden"
    again = facts.model_copy(update={"before": text.encode(), "after": f"{text}y = 1\n".encode()})
    assert g15_secrets.check(again).decision is Decision.ALLOW
