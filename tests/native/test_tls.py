"""The blocking driver's TLS, against a real redis-server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fscore import errors
from fscore._fscore import BlockingPool
from tests.redis_server import RedisServer, binary


@dataclass
class Tls:
    folder: Path
    port: int

    def pool(self, **settings: Any) -> BlockingPool:
        defaults = {
            "host": "localhost",
            "tls_ca_file": str(self.folder / "ca.crt"),
            "tls_cert_file": str(self.folder / "client.crt"),
            "tls_key_file": str(self.folder / "client.key"),
        }
        return BlockingPool(port=self.port, tls=True, **{**defaults, **settings})


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("tls")
    if shutil.which("openssl") is None or binary("redis") is None:
        pytest.skip("openssl and redis-server are needed")
    for authority in ("ca", "other"):
        _openssl(folder, "req", "-x509", *_new_key(authority), "-out", f"{authority}.crt",
                 "-subj", f"/CN={authority}", "-addext", "keyUsage=critical,keyCertSign",
                 "-addext", "basicConstraints=critical,CA:TRUE")  # fmt: skip
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text(
            "subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n"
        )
        _openssl(folder, "req", *_new_key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                 "-CAcreateserial", "-out", f"{name}.crt", "-extfile", f"{name}.ext")  # fmt: skip
    server = RedisServer("redis")
    server.arguments = [
        *("--tls-port", str(server.spare_port), "--tls-ca-cert-file", str(folder / "ca.crt")),
        *("--tls-cert-file", str(folder / "server.crt")),
        *("--tls-key-file", str(folder / "server.key")),
    ]
    try:
        server.start()
        yield Tls(folder, server.spare_port)
    finally:
        server.stop()


def _new_key(name: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key"]  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def test_both_sides_are_verified(tls: Tls) -> None:
    pool = tls.pool()
    assert pool.connect(5.0)["role"] == "master"
    value = "x" * 3_000_000
    assert pool.command(["SET", "large", value], 5.0) == "OK"
    assert pool.command(["GET", "large"], 5.0) == value.encode()
    for turn in range(100):
        assert pool.command(["ECHO", turn], 5.0) == str(turn).encode()
    assert pool.open == 1


def test_a_deadline_is_kept(tls: Tls) -> None:
    pool = tls.pool()
    pool.connect(5.0)
    with pytest.raises(errors.DeadlineExceeded):
        pool.command(["BLPOP", "nothing", 0], 0.05)
    assert pool.command(["ECHO", "mine"], 5.0) == b"mine"


def test_a_connection_closed_while_idle_is_not_used(tls: Tls) -> None:
    pool = tls.pool()
    pool.connect(5.0)
    tls.pool().command(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"], 5.0)
    assert pool.command(["ECHO", "x"], 5.0, idempotent=True) == b"x"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_ca_file": "other.crt"}, "UnknownIssuer|invalid peer certificate"),
        ({"tls_ca_file": None}, "UnknownIssuer|invalid peer certificate|no CA certificate"),
        ({"host": "127.0.0.1"}, "not valid for name"),
        ({"tls_server_name": "elsewhere"}, "not valid for name"),
        ({"tls_server_name": "two words"}, "not a valid TLS server name"),
    ],
    ids=["another CA", "the system's CAs", "an address", "another name", "no name"],
)
def test_a_server_that_cannot_be_verified(tls: Tls, settings: dict[str, Any], message: str) -> None:
    ca_file = settings.get("tls_ca_file")
    if ca_file is not None:
        settings = {"tls_ca_file": str(tls.folder / ca_file)}
    with pytest.raises(errors.ConfigError, match=message):
        tls.pool(**settings).connect(5.0)


def test_verification_can_be_switched_off(tls: Tls) -> None:
    pool = tls.pool(tls_ca_file=None, host="127.0.0.1", tls_verify=False)
    assert pool.command(["PING"], 5.0) == "PONG"


def test_a_name_other_than_the_host(tls: Tls) -> None:
    assert tls.pool(host="127.0.0.1", tls_server_name="localhost").command(["PING"], 5.0) == "PONG"


def test_a_client_without_a_certificate_is_refused(tls: Tls) -> None:
    with pytest.raises(errors.FscoreError, match=r"certificate|handshake|ended"):
        tls.pool(tls_cert_file=None, tls_key_file=None).command(["PING"], 2.0)


def test_tls_to_a_plain_server_and_plain_text_to_a_tls_server(tls: Tls) -> None:
    plain = RedisServer("redis")
    plain.start()
    try:
        with pytest.raises(errors.FscoreError):
            Tls(tls.folder, plain.port).pool(connect_timeout=1.0).connect(2.0)
    finally:
        plain.stop()
    with pytest.raises(errors.FscoreError):
        BlockingPool(host="localhost", port=tls.port, connect_timeout=1.0).connect(2.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tls_ca_file": "/nowhere/ca.crt"}, "cannot read /nowhere/ca.crt"),
        ({"tls_cert_file": None}, "needs both"),
        ({"tls_ca_file": "ca.key"}, "no PEM certificate"),
        ({"tls_key_file": "ca.crt"}, "no private key"),
        ({"tls_key_file": "ca.key"}, "cannot be used"),
    ],
)
def test_files_are_checked_at_once(tls: Tls, settings: dict[str, Any], message: str) -> None:
    inside = {
        name: str(tls.folder / value) if value and not value.startswith("/") else value
        for name, value in settings.items()
    }
    with pytest.raises(errors.ConfigError, match=message):
        tls.pool(**inside)
