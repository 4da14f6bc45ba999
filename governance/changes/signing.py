"""The daemon's signing identity: its key, and the ``allowed_signers`` file for git's own verification."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from governance.changes import sshsig
from governance.changes.settings import ChangeSettings
from governance.changes.trailers import one_line
from ledger.errors import ConfigError
from ledger.integrity.heads import NAMESPACE, Judgement, SignatureResult
from ledger.paths import naming, open_regular, read_regular
from ledger.places import Places

KEY = "signing_ed25519"
ALLOWED = "allowed_signers"
LARGEST = 64 * 1024
GIT_NAMESPACE = "git"
NAMESPACES = f"{GIT_NAMESPACE},{NAMESPACE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The committer. ``public``: raw public key; ``key`` and ``allowed_signers``: files."""

    name: str
    email: str
    public: bytes
    key: Path
    allowed_signers: Path

    @property
    def line(self) -> str:
        """``Name <mail>``."""
        return f"{self.name} <{self.email}>"

    @property
    def git_env(self) -> dict[str, str]:
        """Environment of git calls that write a reflog."""
        return {"GIT_COMMITTER_NAME": self.name, "GIT_COMMITTER_EMAIL": self.email}

    def sign(self, message: bytes, *, namespace: str = GIT_NAMESPACE) -> str:
        """An armoured SSH signature by this key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        key = load_ssh_private_key(read_regular(self.key, LARGEST), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{self.key} is not an Ed25519 key.", remedy="Move it away; a new one is made.")
        return sshsig.sign(key, message, namespace=namespace)

    def sign_head(self, message: bytes) -> str:
        """An armoured signature of the ledger's head."""
        return self.sign(message, namespace=NAMESPACE)

    def problem_with(self, signature: str, message: bytes, *, namespace: str = GIT_NAMESPACE) -> str:
        """Why ``signature`` is not ours over ``message``; empty when it is."""
        return sshsig.problem_with(signature, message, namespace=namespace, public_key=self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyring:
    """Known keys: our own (None: not on this machine), and fingerprints listed by the owner."""

    own: bytes | None
    listed: frozenset[str] = frozenset()

    def judge(self, signature: str, message: bytes, *, namespace: str = NAMESPACE) -> Judgement:
        """Classify a signature by its key. Never raises."""
        try:
            key = sshsig.signer_of(signature, message, namespace=namespace)
        except ValueError as error:
            return Judgement(standing=SignatureResult.NONE, why=str(error))
        signer = sshsig.fingerprint(key)
        if key == self.own:
            return Judgement(standing=SignatureResult.OURS, signer=signer)
        return Judgement(
            standing=SignatureResult.LISTED if signer in self.listed else SignatureResult.UNKNOWN, signer=signer
        )


def keyring(places: Places, settings: ChangeSettings) -> tuple[Keyring, str]:
    """The known keys, and why our own is missing (empty: it is not). Creates no key."""
    listed = frozenset(settings.other_signers)
    if not (places.keys / KEY).exists():
        return Keyring(own=None, listed=listed), f"this machine holds no key of the daemon ({places.keys / KEY})"
    try:
        return Keyring(own=ensure_identity(places, settings).public, listed=listed), ""
    except ConfigError as error:
        return Keyring(own=None, listed=listed), error.message
    except OSError as error:
        return Keyring(own=None, listed=listed), f"the key {places.keys / KEY} cannot be read: {error.strerror}"


def ensure_identity(places: Places, settings: ChangeSettings) -> Identity:
    """This daemon's identity; the key is created on first use, outside the repository, mode 0600.

    Raises ``ConfigError`` when the key file is not one of ours or is readable by others.
    """
    import base64

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    path = places.keys / KEY
    if not os.path.lexists(path):
        _make_key(path)
    if path.lstat().st_mode & 0o077:
        raise ConfigError(f"The signing key {path} can be read by others.", remedy=f"chmod 600 {path}")
    try:
        key = load_ssh_private_key(read_regular(path, LARGEST), password=None)
    except ValueError as error:
        raise ConfigError(f"{path} is not an SSH key.", remedy="Move it away; a new one is made.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 key.", remedy="Move it away; a new one is made.")
    public = key.public_key().public_bytes_raw()
    name = one_line(settings.name).translate({ord("<"): None, ord(">"): None})
    email = one_line(settings.email).translate({ord("<"): None, ord(">"): None, ord(" "): None})
    identity = Identity(
        name=name,
        email=email or f"ouroboros@{socket.gethostname() or 'localhost'}",
        public=public,
        key=path,
        allowed_signers=places.keys / ALLOWED,
    )
    encoded = base64.b64encode(sshsig.public_blob(public)).decode()
    _write_if_changed(path.with_suffix(".pub"), f"ssh-ed25519 {encoded} {identity.email}\n")
    line = f'{identity.email} namespaces="{NAMESPACES}" ssh-ed25519 {encoded}\n'
    _write_if_changed(identity.allowed_signers, line)
    return identity


def _make_key(path: Path) -> None:
    """Written under another name and linked, so that concurrent creation is safe and no partial key is visible."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    data = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with naming(part), os.fdopen(open_regular(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        path.hardlink_to(part)
    part.unlink()


def _write_if_changed(path: Path, text: str) -> None:
    if os.path.lexists(path) and read_regular(path, LARGEST) == text.encode():
        return
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    with naming(part), os.fdopen(open_regular(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
        file.write(text.encode())
    part.replace(path)
