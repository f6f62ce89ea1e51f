"""Carries out the steps of operations in the caller's thread, with a pool of connections."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fscore._fscore import BlockingPool, FeatureTable, ReadPlan
from fscore.client.options import Deadline, Keys, Read, ReadOptions, Write
from fscore.connection.endpoint import Endpoint
from fscore.operations.operation import Command, Operation, Pause, Step, T, drive

if TYPE_CHECKING:
    from fscore.config import RedisSettings


class Driver:
    """A pool of connections to one server."""

    def __init__(self, endpoint: Endpoint, settings: RedisSettings) -> None:
        self._write_timeout = settings.write_timeout
        self._closed = False
        files = {
            "tls_ca_file": settings.tls_ca_file,
            "tls_cert_file": settings.tls_cert_file,
            "tls_key_file": settings.tls_key_file,
        }
        self._pool = BlockingPool(
            host=None if endpoint.path is not None else endpoint.host,
            port=endpoint.port,
            path=endpoint.path,
            tls=endpoint.tls,
            tls_server_name=settings.tls_server_name,
            tls_verify=settings.tls_verify,
            max_connections=settings.max_connections,
            **{name: None if path is None else str(path) for name, path in files.items()},
            **settings.connection(),
        )
        self._pool.connect(settings.connect_timeout)

    @property
    def server(self) -> dict[str, Any]:
        """What the server says it is; see `Client.server`."""
        return self._pool.server

    def run(self, operation: Operation[T], timeout: float | None = None) -> T:
        """Run an operation within `timeout` seconds.

        Without `timeout`, each of its steps has the deadline `write_timeout`.
        """
        deadline = None if timeout is None else Deadline(timeout)

        def carry_out(step: Step) -> Any:
            left = self._write_timeout if deadline is None else deadline.left()
            match step:
                case tuple():
                    return self.command(step, left)
                case list():
                    return self._pool.pipeline(step, left)
                case Pause():
                    time.sleep(step.seconds)
                    return time.monotonic()
                case Read():
                    return self.read(step.plan, step.keys, step.options, left)
                case Write():
                    return self._write(step)
            raise TypeError(f"{step!r} is not a step that this driver carries out")

        return drive(operation, carry_out, lambda: self._closed)

    def command(self, command: Command | tuple[Any, ...], timeout: float | None = None) -> Any:
        """Send any one command and return its reply; an error reply is raised."""
        return self._pool.command(
            list(command), self._write_timeout if timeout is None else timeout
        )

    def read(
        self, plan: ReadPlan, keys: Keys, options: ReadOptions, timeout: float
    ) -> FeatureTable:
        """Read the features of these keys by a plan."""
        return self._pool.read(
            plan,
            keys,
            options.version,
            options.as_of_ms,
            timeout,
            partial=options.partial,
            snapshot=options.snapshot,
            pointer=options.pointer,
            request=options.request,
        )

    def _write(self, step: Write) -> list[int]:
        # Another writer's newer row may have come after a write whose outcome is unknown. Sending
        # such a write again could undo that row, so only idempotent batches are sent again.
        return [
            self._pool.write(batch, step.timeout, idempotent=batch.idempotent)[0]
            for batch in step.batches
        ]

    def close(self) -> None:
        """Close the connections after the calls that are under way."""
        self._closed = True
        self._pool.close()
