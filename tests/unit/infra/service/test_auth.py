from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest

from orograph.infra.service.auth import ANYONE, READER, Authenticator, KeyRing, Principal, verifier_from
from orograph.infra.service.limits import RateLimiter, caller_network
from orograph.pipeline.errors import ConfigError


def oidc(token: str) -> Principal | None:
    return Principal("oidc:alice", frozenset({"read"})) if token == "good" else None  # noqa: S105


def test_a_key_opens_once_made_and_never_again_once_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing(path)
    key = ring.create("alice", ("read", "run"))
    assert ring.principal(key) == Principal(f"key:{key.split('_')[1]}", frozenset({"read", "run"}))
    assert key.split("_", 2)[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    other = KeyRing(path)
    assert other.principal(key) is not None
    assert ring.revoke(key.split("_")[1])
    time.sleep(1.05)
    assert other.principal(key) is None
    assert not ring.revoke("00000000")


def test_expired_changed_and_foreign_keys_open_nothing(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    key = ring.create("bob", ("read",), days=-1)
    assert ring.principal(key) is None
    good = ring.create("carol", ("read",))
    for text in (good[:-1], good + "x", good.upper(), "", "oro_", "oro_00000000_" + "x" * 43, "é" * 60):
        assert KeyRing(tmp_path / "keys.json").principal(text) is None


def test_a_damaged_key_file_is_an_error_and_not_an_open_door(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [{"id": "x"}]}))
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyRing(path).principal("oro_00000000_" + "x" * 43)


def test_the_gate_follows_its_rule(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    assert Authenticator("off", ring).caller(None) is ANYONE
    assert Authenticator("run", ring).caller(None) is READER
    assert Authenticator("all", ring).caller(None) is None
    assert Authenticator("run", ring).caller("bad") is None
    hooked = Authenticator("all", ring, oidc)
    assert hooked.caller("good") == Principal("oidc:alice", frozenset({"read"}))
    assert hooked.caller("bad") is None
    assert hooked.caller("x" * 10_000) is None


def test_verifiers_are_imported_by_name() -> None:
    assert verifier_from("") is None
    assert verifier_from("json:loads") is json.loads
    for bad in ("nowhere:at_all", "json:nothing", "json:__doc__", "json"):
        with pytest.raises(ConfigError, match="oidc_verifier"):
            verifier_from(bad)


def test_the_rate_refills_evenly() -> None:
    now = [0.0]
    limiter = RateLimiter(60, clock=lambda: now[0])
    assert [limiter.wait_s("a") for _ in range(61)] == [0] * 60 + [1]
    assert limiter.wait_s("b") == 0
    now[0] += 2.0
    assert [limiter.wait_s("a") for _ in range(3)] == [0, 0, 1]


def test_callers_without_keys_are_counted_by_network() -> None:
    assert caller_network("2001:db8:1:2::1") == caller_network("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert caller_network("::ffff:192.0.2.1") == "192.0.2.1"
    assert caller_network(None) == "unknown"


def test_keys_rotate_where_a_secret_is_mounted_as_a_folder(tmp_path: Path) -> None:
    """Kubernetes swaps a link to a folder of a secret's files; a container sees a mounted folder change."""
    made = KeyRing(tmp_path / "made/keys.json")
    old = made.create("old", ("run",))
    mount = tmp_path / "mount"
    mount.mkdir()

    def synchronise(version: str) -> None:
        (mount / version).mkdir()
        (mount / version / "keys.json").write_bytes(made.path.read_bytes())
        (mount / "new").symlink_to(version)
        (mount / "new").replace(mount / "..data")

    synchronise("..1")
    (mount / "keys.json").symlink_to("..data/keys.json")
    seen = KeyRing(mount / "keys.json")
    assert seen.principal(old) is not None
    new = made.create("new", ("run",))
    synchronise("..2")
    time.sleep(1.05)
    assert seen.principal(old) is not None
    assert seen.principal(new) is not None
    made.revoke(old.split("_")[1])
    synchronise("..3")
    time.sleep(1.05)
    assert seen.principal(old) is None
    assert seen.principal(new) is not None


def test_a_key_file_keeps_its_permissions_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    ring.create("first", ("run",))
    ring.path.chmod(0o644)  # a container's user reads it
    ring.create("second", ("run",))
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o644

    def busy(*_arguments: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    with pytest.raises(ConfigError, match=r"Device or resource busy.*mount its folder"):
        ring.create("third", ("run",))
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
