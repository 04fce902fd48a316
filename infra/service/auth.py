"""Authentication: API keys stored as hashes and compared in constant time, and a hook for OpenID Connect tokens."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import os
import re
import secrets
import stat
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orograph.pipeline.errors import ConfigError

Scope = Literal["read", "run", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "run", "admin")
"""Reading, ordering, and dismissing jobs that others ordered."""

_KEY: Final = re.compile(r"oro_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
# Compared with when a key id is unknown, so that unknown and wrong take the same time.
_UNKNOWN_CALLER: Final = hashlib.sha256(b"nobody").hexdigest()


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller and the caller's permissions; `id` identifies the caller in job records and rate limits."""

    id: str
    scopes: frozenset[Scope]


ANYONE: Final = Principal("anyone", frozenset(SCOPES))
"""The caller of an open service on one's own machine."""

READER: Final = Principal("reader", frozenset({"read"}))
"""A caller without a key where reading is open."""


@runtime_checkable
class TokenVerifier(Protocol):
    """Turns a bearer token other than an API key into a principal: the hook for OpenID Connect."""

    def __call__(self, token: str) -> Principal | None:
        """The principal, None when the token is not valid; must check signature, audience and expiry."""
        ...


class StoredKey(BaseModel):
    """Stored form of a key: its hash, never the key itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=80)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: tuple[Scope, ...]
    created: datetime
    expires: datetime | None = None

    @property
    def is_expired(self) -> bool:
        """True after the key's expiry time."""
        return self.expires is not None and datetime.now(UTC) >= self.expires


class _KeyFile(BaseModel):
    keys: tuple[StoredKey, ...] = ()


class KeyRing:
    """The API keys of a file; a change of the file is seen within a second.

    A key contains 256 random bits, so that its SHA-256 cannot be reversed by search and a slow hash is not needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._keys: dict[str, StoredKey] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._looked = 0.0

    def create(self, name: str, scopes: tuple[Scope, ...], days: float | None = None) -> str:
        """Make a key, store its hash and return the key, which cannot be shown again."""
        secret = secrets.token_urlsafe(32)
        key_id = secrets.token_hex(4)
        now = datetime.now(UTC)
        key = f"oro_{key_id}_{secret}"
        stored = StoredKey(
            id=key_id,
            name=name,
            sha256=_digest(key),
            scopes=scopes,
            created=now,
            expires=now + timedelta(days=days) if days else None,
        )
        self._write((*self._read(), stored))
        return key

    def revoke(self, key_id: str) -> bool:
        """Delete a key; False if there is no key with this id."""
        keys = self._read()
        kept = tuple(key for key in keys if key.id != key_id)
        if len(kept) == len(keys):
            return False
        self._write(kept)
        return True

    def list(self) -> tuple[StoredKey, ...]:
        """The stored keys, without secrets."""
        return self._read()

    def principal(self, text: str) -> Principal | None:
        """Return the owner of a key; None for an unknown key."""
        match = _KEY.fullmatch(text)
        stored = self._current().get(match[1]) if match else None
        expected = stored.sha256 if stored else _UNKNOWN_CALLER
        same = hmac.compare_digest(_digest(text), expected)
        if stored is None or not same or stored.is_expired:
            return None
        return Principal(f"key:{stored.id}", frozenset(stored.scopes))

    def _current(self) -> dict[str, StoredKey]:
        with self._lock:
            now = time.monotonic()
            if now - self._looked >= 1.0 or self._stamp is None:
                self._looked = now
                stamp = self._stat()
                if stamp != self._stamp:
                    self._keys = {key.id: key for key in self._read()}
                    self._stamp = stamp
            return self._keys

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[StoredKey, ...]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        try:
            return _KeyFile.model_validate_json(text).keys
        except ValidationError as error:
            raise ConfigError(f"key file {self.path} cannot be read: {error.error_count()} faults") from error

    def _write(self, keys: tuple[StoredKey, ...]) -> None:
        text = json.dumps(_KeyFile(keys=keys).model_dump(mode="json"), indent=1)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._replace(text)
        except OSError as error:
            raise ConfigError(
                f"key file {self.path} cannot be written: {error.strerror}",
                remedy="make keys where the secret is kept, and mount its folder, not the file (deploy/README.md)",
            ) from error

    def _replace(self, text: str) -> None:
        """Swap the file in one step; its permissions stay, so that a container's user goes on reading it."""
        mode = stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else 0o600
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Identifies callers by API key or token.

    Attributes:
        rule: `off`, `run` or `all`, as in the settings.
        keys: API keys.
        verifier: The OpenID Connect hook, if there is one.
    """

    rule: Literal["off", "run", "all"]
    keys: KeyRing
    verifier: TokenVerifier | None = None

    def caller(self, token: str | None) -> Principal | None:
        """The principal of a token; without a token, the access rule's anonymous one; None for an invalid token."""
        if self.rule == "off":
            return ANYONE
        if token:
            if token.startswith("oro_"):
                return self.keys.principal(token)
            return self.verifier(token) if self.verifier and len(token) <= 8192 else None
        return READER if self.rule == "run" else None


def verifier_from(dotted: str) -> TokenVerifier | None:
    """Import the verifier named as `module:callable`; None for the empty string.

    Raises:
        ConfigError: it cannot be imported or called.
    """
    if not dotted:
        return None
    module, _, name = dotted.partition(":")
    try:
        found: TokenVerifier = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"oidc_verifier {dotted!r} cannot be imported: {error}", remedy="write module:callable"
        ) from error
    if not callable(found):
        raise ConfigError(f"oidc_verifier {dotted!r} is not callable")
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
