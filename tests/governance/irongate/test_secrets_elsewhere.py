"""Another program's shapes of keys, as a check of our own: what it finds by shape, we find too."""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import pkgutil
import string
from collections.abc import Iterator
from pathlib import Path

import detect_secrets.plugins
import pytest
from detect_secrets.plugins.base import RegexBasedDetector

from governance.irongate.secrets.redaction import findings, redact
from tests.governance.irongate.test_secrets import HEX, KEYS, made


def packed(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


ROOMS = Path(__file__).parents[3]
BY_NAME = frozenset({"CloudantDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "SoftlayerDetector"})
"""They look for the name of a provider beside any text; an address is no secret."""
NO_SECRET = frozenset({"IPPublicDetector"})
MORE = {
    "github app": "gh" + "s_" + made(36),
    "gitlab runner": "GR" + "1348941" + made(20),
    "slack webhook": "https://hooks.slack" + ".com/services/T" + made(9) + "/B" + made(9) + "/" + made(24),
    "stripe restricted": "rk" + "_live_" + made(24),
    "azure": "Account" + "Key=" + made(86) + "==",
    "telegram": made(9, "123456789") + ":A" + "A" + made(33),
    "twilio": "S" + "K" + made(32, HEX),
    "npm line": "//registry.npmjs" + ".org/:_authToken=np" + "m_" + made(36),
    "in an address": "https://me:" + made(18) + "@host.invalid/path",
    "pgp": "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----\n" + made(60) + "\n-----END PGP PRIVATE KEY BLOCK-----",
    "putty": "PuTTY-User-Key-" + "File-2: ssh-rsa\nPrivate-Lines: 1\n" + made(60) + "\nPrivate-MAC: " + made(40, HEX),
    "openai of old": "sk-" + made(20) + "T3Blbk" + "FJ" + made(20),
    "pypi of pypi.org": "pypi-" + "AgEIcHlwaS5vcmc" + made(80),
    "slack, in small letters": "xo" + "xb-" + made(12, "123456789") + "-" + made(24, string.ascii_lowercase),
    "jwt that can be read": ".".join([packed({"alg": "HS256"}), packed({"sub": "me", "n": 1}), made(43)]),
}


def detectors() -> Iterator[RegexBasedDetector]:
    for module in pkgutil.iter_modules(detect_secrets.plugins.__path__):
        members = inspect.getmembers(importlib.import_module(f"{detect_secrets.plugins.__name__}.{module.name}"))
        for name, found in members:
            is_one = inspect.isclass(found) and issubclass(found, RegexBasedDetector) and not inspect.isabstract(found)
            if is_one and found.__module__.endswith(module.name) and name not in BY_NAME | NO_SECRET:
                yield found()


THEIRS = tuple(detectors())


def made_of(key: str) -> str:
    """Its secret part: the longest run without a break."""
    return max(key.replace("@", "\n").split(), key=len)[-16:]


def theirs(text: str) -> list[str]:
    return [d.secret_type for line in text.splitlines() for d in THEIRS for _ in d.analyze_string(line)]


@pytest.mark.parametrize("name", [*KEYS, *MORE])
def test_what_another_program_finds_by_shape_is_found(name: str) -> None:
    key = (KEYS | MORE)[name]
    for text in (f"value = '{key}'\n", f"{key}\n", f'  "x": "{key}",\n'):
        if theirs(text):
            assert findings(text), (name, theirs(text))
    text = f"value = '{key}'\n"
    assert findings(text) and made_of(key) not in redact(text)


def test_every_shape_of_theirs_is_among_the_examples() -> None:
    seen = {kind for key in (KEYS | MORE).values() for kind in theirs(f"value = '{key}'\n{key}\n")}
    known = {detector.secret_type for detector in THEIRS}
    assert known == seen


def test_our_own_text_holds_none_for_either() -> None:
    for path in (ROOMS / "governance/irongate").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert findings(text) == () and set(theirs(text)) <= {"Basic Auth Credentials"}, path  # ``user:password@``
