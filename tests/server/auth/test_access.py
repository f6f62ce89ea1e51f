"""The server with a Redis user that may only read the keys of one tenant."""

from __future__ import annotations

import redis

import fscore
from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess
from tests.server.store import REGISTRY

ONE = "/v1/features?user_id=u1&service=ranking"
PASSWORD = "s3cret-pass"
# The rights that docs/guides/connect.md gives to a reader.
READER = (
    "on resetkeys resetchannels -@all +hello +auth +ping +select +client|setname +client|id"
    " +hmget +hgetall +hget +mget +subscribe %R~acme:* &acme:*"
)


def _limited_url(store: RedisServer, rules: str) -> str:
    with redis.Redis.from_url(store.url) as connection:
        connection.execute_command("ACL", "SETUSER", "reader", f">{PASSWORD}", *rules.split())
    return store.url.replace("redis://", f"redis://reader:{PASSWORD}@")


def test_a_reader_serves_its_tenant_and_sees_no_other(own_store: RedisServer) -> None:
    with fscore.connect(own_store.url, key_prefix="acme:") as client:
        client.apply(REGISTRY)
        client.write("profile", [{"user_id": "u1", "age": 77}, {"user_id": "acme", "age": 1}])
    url = _limited_url(own_store, READER)
    with ServerProcess(url, key_prefix="acme:") as process:
        assert process.client.get("/health/ready").status_code == 200
        assert process.client.get(ONE).json()["features"]["age"] == 77
        # This user is stored, but without the tenant's prefix.
        other = process.client.get("/v1/features?user_id=null&features=age").json()
        assert other["statuses"] == {"age": "NOT_FOUND"}
    with ServerProcess(url, startup_wait=0) as process:
        process.wait_for("Redis refuses")
        assert process.client.get("/health/ready").status_code == 503
        assert process.client.get(ONE).status_code == 503


def test_a_forbidden_command_is_an_operators_fault(own_store: RedisServer) -> None:
    url = _limited_url(own_store, READER.replace("acme:", ""))
    with ServerProcess(url) as process:
        assert process.client.get(ONE).status_code == 200
        with redis.Redis.from_url(own_store.url) as connection:
            connection.execute_command("ACL", "SETUSER", "reader", "-hmget", "-hgetall")
        response = process.client.get(ONE)
        assert response.status_code == 503
        assert response.json()["type"] == "/docs#config_error"
        line = process.wait_for("access to the store")
    assert "permission" in line["cause"]
    for secret in ("reader", "hmget", PASSWORD):
        assert secret not in response.text
    assert PASSWORD not in "".join(process.raw_log)
