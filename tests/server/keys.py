"""API keys for tests, and the file that a server reads them from."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Key:
    """A key, and what its entry says beside its name and hash."""

    name: str
    more: str = ""

    @property
    def secret(self) -> str:
        """The same for a name at every run, so that a failure can be repeated."""
        return f"fsk_{hashlib.sha256(self.name.encode()).hexdigest()[:43]}"

    @property
    def entry(self) -> str:
        """As it stands in the file, by another hash function than the server's."""
        sha256 = hashlib.sha256(self.secret.encode()).hexdigest()
        return f'[[key]]\nname = "{self.name}"\nsha256 = "{sha256}"\n{self.more}\n'

    @property
    def header(self) -> dict[str, str]:
        """What its holder sends."""
        return {"Authorization": f"Bearer {self.secret}"}


YEAR_AGO = dt.datetime.now(dt.UTC) - dt.timedelta(days=365)

FULL = Key("full", "expires = 9999-01-01T00:00:00Z")
OTHER = Key("other")
EXPIRED = Key("expired", f"expires = {YEAR_AGO.isoformat()}")
RANKING = Key("ranking", 'services = ["ranking"]')
PROFILE = Key("profile", 'views = ["profile"]')
VISITS = Key("visits", 'services = ["quotes"]\nviews = ["profile", "activity"]')
TYPO = Key("typo", 'services = ["rankin"]\nviews = ["profil"]')
NOTHING = Key("scraper", "services = []")
UNKNOWN = Key("unknown")

KEYS = (FULL, EXPIRED, RANKING, PROFILE, VISITS, TYPO, NOTHING)


def write(path: Path, *keys: Key) -> Path:
    """Puts these keys into the place of what the file has."""
    return replace(path, "".join(key.entry for key in keys))


def replace(path: Path, text: str) -> Path:
    """Puts this into the place of what the file has, at once."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    os.replace(new, path)
    return path
