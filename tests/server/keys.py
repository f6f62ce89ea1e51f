"""API keys for tests, and the file from which a server reads them."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Key:
    """An API key; `more` is TOML that its entry has beside name and hash."""

    name: str
    more: str = ""

    @property
    def secret(self) -> str:
        """The key itself: a name has the same in every run, so that a failure can be repeated."""
        return f"fsk_{hashlib.sha256(self.name.encode()).hexdigest()[:43]}"

    @property
    def entry(self) -> str:
        """The key's entry in the file, hashed by another implementation than the server's."""
        sha256 = hashlib.sha256(self.secret.encode()).hexdigest()
        return f'[[key]]\nname = "{self.name}"\nsha256 = "{sha256}"\n{self.more}\n'

    @property
    def header(self) -> dict[str, str]:
        """The header that the key's holder sends."""
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
    """Replace the file's contents with these keys."""
    return replace(path, "".join(key.entry for key in keys))


def replace(path: Path, text: str) -> Path:
    """Replace the file's contents with this text, atomically."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    os.replace(new, path)
    return path
