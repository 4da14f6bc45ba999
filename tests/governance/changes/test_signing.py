from __future__ import annotations

import base64
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.changes.settings import ChangeSettings
from governance.changes.signing import Keyring, ensure_identity, keyring
from governance.changes.sshsig import BEGIN, END, fingerprint, pack, problem_with, sign, signer_of, unpack
from ledger.errors import ConfigError
from ledger.integrity.heads import SignatureResult
from ledger.places import Places
from tests.repos import make_places, make_repo

needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def places_of(tmp_path: Path) -> Places:
    return make_places(tmp_path, make_repo(tmp_path / "repo"))


def test_key_is_private_and_made_once(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    first = ensure_identity(places, ChangeSettings(email="o@box"))
    again = ensure_identity(places, ChangeSettings(email="o@box"))
    assert first == again
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert first.line == "Ouroboros <o@box>"
    assert sorted(p.name for p in places.keys.iterdir()) == [
        "allowed_signers",
        "signing_ed25519",
        "signing_ed25519.pub",
    ]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    ensure_identity(places, ChangeSettings()).key.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        ensure_identity(places, ChangeSettings())


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    key = places.keys / "signing_ed25519"
    key.write_text("nonsense")
    key.chmod(0o600)
    with pytest.raises(ConfigError, match="not an SSH key"):
        ensure_identity(places, ChangeSettings())


@settings(deadline=None, max_examples=25)
@given(st.binary(max_size=300), st.data())
def test_only_the_very_bytes_verify(message: bytes, data: st.DataObject) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    armoured = sign(key, message, namespace="git")
    assert problem_with(armoured, message, namespace="git", public_key=public) == ""
    assert problem_with(armoured, message + b"x", namespace="git", public_key=public) == "it does not fit the content"
    assert "another purpose" in problem_with(armoured, message, namespace="file", public_key=public)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert "another key" in problem_with(armoured, message, namespace="git", public_key=other)
    blob = bytearray(base64.b64decode("".join(armoured.strip()[len(BEGIN) : -len(END)].split())))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= 0x41
    torn = f"{BEGIN}\n{base64.b64encode(bytes(blob)).decode()}\n{END}\n"
    assert problem_with(torn, message, namespace="git", public_key=public) != ""


def test_ssh_strings() -> None:
    assert unpack(pack(b"a", b""), 2) == (b"a", b"")
    for bad in (b"", b"\0\0\0\5a", pack(b"a") + b"x"):
        with pytest.raises(ValueError):
            unpack(bad, 1)


@needs_keygen
def test_ssh_keygen_agrees(tmp_path: Path) -> None:
    identity = ensure_identity(places_of(tmp_path), ChangeSettings(email="o@box"))
    signature = tmp_path / "sig"
    signature.write_text(identity.sign(b"hello", namespace="ouro-ledger"))
    argv = [
        "ssh-keygen", "-Y", "verify", "-f", str(identity.allowed_signers), "-I", "o@box", "-n", "ouro-ledger", "-s",
        str(signature),
    ]  # fmt: skip
    assert subprocess.run(argv, input=b"hello", capture_output=True, check=False).returncode == 0
    assert subprocess.run(argv, input=b"other", capture_output=True, check=False).returncode != 0


@needs_keygen
def test_we_agree_with_ssh_keygen(tmp_path: Path) -> None:
    identity = ensure_identity(places_of(tmp_path), ChangeSettings())
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(identity.key)], input=b"hi", capture_output=True, check=True
    )
    assert identity.problem_with(done.stdout.decode(), b"hi") == ""


@needs_keygen
def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    identity = ensure_identity(places_of(tmp_path), ChangeSettings())
    shown = subprocess.run(["ssh-keygen", "-l", "-f", identity.key.with_suffix(".pub")], capture_output=True, text=True)
    assert shown.stdout.split()[1] == fingerprint(identity.public)


@settings(deadline=None, max_examples=60)
@given(
    st.text(max_size=80) | st.binary(max_size=120).map(lambda raw: f"{BEGIN}\n{base64.b64encode(raw).decode()}\n{END}")
)
def test_whatever_stands_there_is_no_signature_and_no_error(armoured: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        signer_of(armoured, b"x", namespace="git")
    found = Keyring(own=b"x" * 32).judge(armoured, b"x")
    assert found.standing is SignatureResult.NONE and found.why


def test_a_signature_is_ours_listed_or_unknown(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    ring, why = keyring(places, ChangeSettings())
    assert ring.own is None and "holds no key" in why and not list(places.keys.iterdir())
    identity = ensure_identity(places, ChangeSettings())
    signature = identity.sign_head(b"head")
    ring, why = keyring(places, ChangeSettings())
    assert (ring.judge(signature, b"head").standing, why) == (SignatureResult.OURS, "")
    assert ring.judge(signature, b"other").standing is SignatureResult.NONE
    assert ring.judge(identity.sign(b"head"), b"head").why == "it was made for another purpose"
    name = fingerprint(identity.public)
    for listed, standing in ((frozenset(), SignatureResult.UNKNOWN), (frozenset({name}), SignatureResult.LISTED)):
        found = Keyring(own=None, listed=listed).judge(signature, b"head")
        assert (found.standing, found.signer) == (standing, name)
    identity.key.chmod(0o644)
    assert "read by others" in keyring(places, ChangeSettings())[1]
