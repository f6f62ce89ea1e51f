"""Which tests `make check` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.touched import ALWAYS, PARTS, touched

TESTS = Path(__file__).parent
FILES = [
    *("server/test_tracing.py", "server/test_hot_routes.py", "server/test_read_one.py"),
    *("cli/test_migrate.py", "cli/test_get.py", "client/test_migrate_live.py"),
    *("client/test_versions.py", "client/test_roundtrip.py", "native/test_write_plan.py"),
    *("definitions/test_view_diff.py", "ingest/test_rejects.py", "test_docs.py"),
]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("tests/server/telemetry/test_tracing.py", {"server/test_tracing.py"}),
        ("server/fscore_server/tracing.py", {"server/test_tracing.py", "server/test_read_one.py"}),
        ("server/fscore_server/spans.py", {"server/test_read_one.py"}),
        ("server/fscore_server/cli/migrate.py", {"cli/test_migrate.py", "cli/test_get.py"}),
        ("server/fscore_server/ingest/reject_file.py", {"ingest"}),
        ("fscore/_versions.py", {"native", "client/test_versions.py", "client/test_roundtrip.py"}),
        # The folder is there already.
        ("fscore/_view_diff.py", {"native", "client/test_roundtrip.py"}),
        ("rust/core/src/write/plan.rs", {"native", "client/test_roundtrip.py"}),
        ("rust/py/src/lib.rs", {"native", "client/test_roundtrip.py"}),
        ("tests/server/server_process.py", {"server/test_read_one.py"}),
        ("tests/redis_server.py", {"client/test_roundtrip.py"}),
        ("docs/guides/python.md", {"test_docs.py"}),
        ("Makefile", set()),
    ],
)
def test_what_a_change_touches(changed: str, expected: set[str]) -> None:
    assert set(touched([changed], FILES)) == expected | set(ALWAYS)


def test_changes_add_up() -> None:
    both = ["tests/server/ingest/test_rejects.py", "server/fscore_server/ingest/loader.py"]
    assert touched(both[:1], FILES) == sorted([*ALWAYS, "ingest/test_rejects.py"])
    assert touched(both, FILES) == sorted([*ALWAYS, "ingest"])


def test_all_that_is_named_is_there() -> None:
    named = [*ALWAYS, *(path for part in PARTS.values() for path in (*part.suites, *part.smoke))]
    assert [path for path in named if not (TESTS / path).exists()] == []
    assert [start for start in PARTS if not (TESTS.parent / start).is_dir()] == []
