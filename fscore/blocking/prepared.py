"""A compiled read of the blocking client."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fscore._fscore import FeatureTable
from fscore.blocking.driver import Driver
from fscore.client.core import Core
from fscore.client.options import Consistency, Deadline, Keys, RequestValues
from fscore.client.prepared import PreparedCore, is_final


class Prepared(PreparedCore):
    """A compiled read of a blocking client; see `Client.prepare`."""

    def __init__(
        self,
        core: Core,
        driver: Driver,
        service: str | None,
        features: Sequence[str] | None,
        entity: str | None,
    ) -> None:
        super().__init__(core, service, features, entity)
        self._driver = driver
        self._timeout = core.settings.timeout

    def get(
        self,
        keys: Keys,
        *,
        timeout: float | None = None,
        partial: bool = True,
        version: int | None = None,
        consistency: Consistency = "eventual",
        as_of: datetime | int | None = None,
        request: RequestValues | None = None,
    ) -> FeatureTable:
        """Read the features of these entities, one row for each, in their order.

        `keys` has a column for each join key, `{"user_id": [1, 2]}`, all of one length, or is the
        one column where there is one join key. `timeout` is in seconds and covers everything.

        Where some of the answer is not there in time the rest has the status UNAVAILABLE, or, with
        `partial=False` or where nothing is there, DeadlineExceeded or Unavailable is raised.

        `as_of` (epoch ms or a datetime with a zone; default: now) is the moment at which windows
        end and against which rows expire. `consistency="snapshot"` reads everything of one entity
        at one moment; rows of different entities are of different ones.

        `request` are the inputs that features computed on request need, as `prepared.request` lists
        them: `{"amount": [12.5, 3.0]}` with a value for each row, or `{"amount": 12.5}` for all.

        InvalidKeys says what is wrong with the keys, InvalidValue with the inputs; more rows than
        `max_keys` are RequestTooLarge.
        """
        core, driver = self._core, self._driver
        timeout = self._timeout if timeout is None else timeout
        if core.is_look_due():
            timeout = driver.run(core.following(timeout), timeout)
        deadline = Deadline(timeout)
        compiled = self.compiled()
        options = compiled.options(version, consistency, as_of, partial, request)
        table = driver.read(compiled.plan, keys, options, timeout)
        if is_final(table, options):
            return table
        return driver.run(self.reading_again(keys, options, table), deadline.left())
