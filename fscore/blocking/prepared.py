"""A compiled read of the blocking client."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fscore._fscore import FeatureTable
from fscore.blocking.driver import Driver
from fscore.client.core import Core
from fscore.client.options import Consistency, Deadline, Keys, RequestValues, checked_timeout
from fscore.client.prepared import PreparedCore, is_final
from fscore.definitions.named import EntityLike, FeatureLike, ServiceLike


class Prepared(PreparedCore):
    """A choice of features, compiled for reading; `Client.prepare` makes it.

    Any number of threads may use it. It follows new revisions of the definitions by itself.
    """

    def __init__(
        self,
        core: Core,
        driver: Driver,
        service: ServiceLike | None,
        features: Sequence[FeatureLike] | None,
        entity: EntityLike | None,
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
        """Read the features of these entities; return one row for each, in their order.

        - `keys` has a column for each join key, `{"user_id": [1, 2]}`, all of one length; it may be
          a list of dicts or a frame, whose other columns are ignored. If there is one join key,
          `keys` may be its column: `[1, 2]`. See docs/reference/data-forms.md.
        - `timeout` is in seconds, above 0 and at most 3600, and covers the whole call (default: the
          setting `timeout`).
        - `partial`: if only part of the answer arrives in time, values that are missing get the
          status UNAVAILABLE. With `partial=False`, or if nothing arrives, DeadlineExceeded or
          Unavailable is raised instead.
        - `version` reads this version instead of the one that was promoted for the service.
        - `consistency="snapshot"` reads all values of one entity at one point in time; different
          entities may be read at different times. See docs/concepts/consistency.md.
        - `as_of` is the time at which windows end and rows expire: epoch milliseconds or a datetime
          with a time zone (default: now).
        - `request` has the inputs that features computed on request need; `self.request` lists
          them. `{"amount": [12.5, 3.0]}` has a value for each row, `{"amount": 12.5}` one for all.

        Raises InvalidKeys if keys are wrong, InvalidValue if inputs are wrong, InvalidArgument if
        another argument is wrong, RequestTooLarge if there are more than `max_keys` rows.
        """
        core, driver = self._core, self._driver
        timeout = self._timeout if timeout is None else checked_timeout(timeout)
        if core.is_look_due():
            timeout = driver.run(core.following(timeout), timeout)
        deadline = Deadline(timeout)
        compiled = self.compiled()
        options = compiled.options(version, consistency, as_of, partial, request)
        keys = self._lasting(compiled, keys)
        table = driver.read(compiled.plan, keys, options, timeout)
        if is_final(table, options):
            return table
        return driver.run(self.reading_again(keys, options, table), deadline.left())
