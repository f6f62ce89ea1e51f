"""Which tests `make check` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.touched import ALWAYS, PARTS, touched

TESTS = Path(__file__).parent
TRACING = "server/telemetry/test_tracing.py"
READ_ONE = "server/http/test_read_one.py"
ROUNDTRIP = "client/reading/test_roundtrip.py"
FILES = [
    *(TRACING, "server/http/test_hot_routes.py", READ_ONE, "server/ingest/test_rejects.py"),
    *("server/cli/test_migrate.py", "server/cli/test_get.py", "native/test_write_plan.py"),
    *("client/migration/test_migrate_live.py", "client/versions/test_versions.py", ROUNDTRIP),
    *("registry/diff/test_views.py", "test_docs.py"),
]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("tests/server/telemetry/test_tracing.py", {TRACING}),
        ("server/fscore_server/telemetry/tracing.py", {TRACING, READ_ONE}),
        ("server/fscore_server/telemetry/spans.py", {READ_ONE}),
        (
            "server/fscore_server/cli/migrate.py",
            {"server/cli/test_migrate.py", "server/cli/test_get.py"},
        ),
        ("server/fscore_server/ingest/rows/reject_file.py", {"server/ingest"}),
        (
            "fscore/versions/records.py",
            {"native", "client/versions/test_versions.py", ROUNDTRIP},
        ),
        # The folder is there already.
        ("fscore/registry/diff/views.py", {"native", ROUNDTRIP}),
        ("rust/core/src/write/plan.rs", {"native", ROUNDTRIP}),
        ("rust/py/src/lib.rs", {"native", ROUNDTRIP}),
        ("tests/server/server_process.py", {READ_ONE}),
        ("tests/redis_server.py", {ROUNDTRIP}),
        ("tests/shop.py", {ROUNDTRIP, READ_ONE}),
        ("docs/guides/python.md", {"test_docs.py"}),
        ("Makefile", set()),
    ],
)
def test_what_a_change_touches(changed: str, expected: set[str]) -> None:
    assert set(touched([changed], FILES)) == expected | set(ALWAYS)


def test_changes_add_up() -> None:
    both = ["tests/server/ingest/test_rejects.py", "server/fscore_server/ingest/loader.py"]
    assert touched(both[:1], FILES) == sorted([*ALWAYS, "server/ingest/test_rejects.py"])
    assert touched(both, FILES) == sorted([*ALWAYS, "server/ingest"])


def test_all_that_is_named_is_there() -> None:
    named = [*ALWAYS, *(path for part in PARTS.values() for path in (*part.suites, *part.smoke))]
    assert [path for path in named if not (TESTS / path).exists()] == []
    assert [start for start in PARTS if not (TESTS.parent / start).exists()] == []
