"""Bad rows are reported, kept and counted; all other rows are loaded."""

from __future__ import annotations

import base64
import bz2
import datetime as dt
import gzip
import json
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from fscore import (
    Bool,
    Entity,
    EventSource,
    Feature,
    FeatureView,
    Float32,
    Int64,
    List,
    Registry,
    String,
    count,
    distinct,
    latest,
)
from fscore_server.ingest import InputError, LoadReport, load
from fscore_server.ingest.formats import bytes as stream
from tests.event_times import with_times_in
from tests.server.ingest.sink import Sink

user = Entity("user", join_keys={"user_id": String})
events = EventSource("events", event_time="at")


class Sample(FeatureView, entity=user, source=events):
    events_total: Int64 = Feature(count())
    age: Int64 = Feature(latest("age"))
    score: Float32 = Feature(latest("score"))
    member: Bool = Feature(latest("member"))


DEFINITIONS = Registry.from_definitions([Sample])
HEADER = "user_id,at,age,score,member"
GOOD = "ann,2024-01-01T00:00:00Z,29,0.5,1"


def load_text(sink: Sink, path: Path, *lines: str | bytes, end: bytes = b"\n") -> LoadReport:
    raw = [line.encode() if isinstance(line, str) else line for line in lines]
    path.write_bytes(end.join(raw) + end)
    return load(sink, DEFINITIONS, [path])


def rejects_of(path: Path) -> list[dict]:
    text = path.with_name(path.name + ".rejects.ndjson").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


# Fixed, because it is part of a test's name, on which all test processes have to agree.
FAR = "2199-12-31T00:00:00+00:00"
NEAR = (dt.datetime.now(dt.UTC) + dt.timedelta(minutes=4)).isoformat()

BAD_CSV = {
    "bob,2024-13-01T00:00:00Z,29,0.5,1": (
        "at: expected a time in ISO 8601, found '2024-13-01T00:00:00Z'"
    ),
    "bob,1710325274,29,0.5,1": "at: expected a time in ISO 8601, found '1710325274'",
    "bob,,29,0.5,1": "at: missing",
    ",2024-01-01,29,0.5,1": "user_id: missing",
    '"",2024-01-01,29,0.5,1': "user_id: missing",
    "bob,2024-01-01,29.5,0.5,1": "age: expected an integer of 64 bits, found '29.5'",
    "bob,2024-01-01,9223372036854775808,0.5,1": (
        "age: expected an integer of 64 bits, found '9223372036854775808'"
    ),
    "bob,2024-01-01,29,high,1": "score: expected a number that Float32 can hold, found 'high'",
    "bob,2024-01-01,29,1e300,1": "score: expected a number that Float32 can hold, found '1e300'",
    "bob,2024-01-01,29,0.5,maybe": "member: expected 1, 0, true or false, found 'maybe'",
    "bob,2024-01-01,29,0.5": "4 columns, but the header has 5",
    "bob,2024-01-01,29,0.5,1,more": "6 columns, but the header has 5",
    f"bob,{FAR},29,0.5,1": f"at: '{FAR}' is more than 5 minutes ahead of the clock",
    "bob,1989-12-31,29,0.5,1": "at: '1989-12-31' is before 1990",
    f"{'b' * 513},2024-01-01,29,0.5,1": "user_id: an id has at most 512 bytes, this has 513",
    f"{'é' * 257},2024-01-01,29,0.5,1": "user_id: an id has at most 512 bytes, this has 514",
}


@pytest.mark.parametrize(("line", "reason"), BAD_CSV.items(), ids=lambda text: text[:30])
def test_a_bad_csv_row_is_named_and_the_others_are_loaded(
    tmp_path: Path, sink: Sink, line: str, reason: str
) -> None:
    path = tmp_path / "in.csv"
    report = load_text(sink, path, HEADER, GOOD, line, GOOD)
    assert (report.rows, report.rejected, report.failure) == (3, 1, None)
    assert rejects_of(path) == [{"line": 3, "reason": reason, "raw": line}]
    assert sink.views["sample"]["ann"]["events_total"] == 2


def test_all_kinds_of_bad_csv_rows_together(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.csv"
    lines = [HEADER]
    expected = []
    for line, reason in BAD_CSV.items():
        lines += [GOOD, line]
        expected.append({"line": len(lines), "reason": reason, "raw": line})
    report = load_text(sink, path, *lines, end=b"\r\n")
    assert report.rejected == len(BAD_CSV)
    assert sum(report.files[0].reasons.values()) == len(BAD_CSV)
    assert rejects_of(path) == expected


@pytest.mark.parametrize(
    ("timestamp_format", "moment", "why"),
    [
        ("unix_ms", 1_704_067_200, "before 1990; is it in seconds? It is read as milliseconds"),
        ("unix_ms", 1_704_067_200_000_000, "ahead of the clock; is it in microseconds? It is read"),
        ("unix", 1_704_067_200_000, "ahead of the clock; is it in milliseconds? It is read as sec"),
        ("unix_ms", 5, "before 1990; it is read as milliseconds since 1970"),
    ],
)
def test_times_in_another_unit_are_reported(
    tmp_path: Path, sink: Sink, timestamp_format: str, moment: int, why: str
) -> None:
    definitions = with_times_in(DEFINITIONS, timestamp_format)
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\nann,{moment},29,0.5,1\n")
    assert load(sink, definitions, [path]).rejected == 1
    (reject,) = rejects_of(path)
    assert reject["reason"].startswith(f"at: '{moment}' is ")
    assert why in reject["reason"]


@pytest.mark.parametrize("block", [1, 2, 7, 64, 1 << 20])
def test_where_blocks_end_makes_no_difference(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(stream, "READ_BYTES", block)
    path = tmp_path / "in.csv"
    lines = [HEADER, GOOD, "", '"two\nlines, ""quoted""",2024-01-01,29,0.5,1']
    lines += [*BAD_CSV, '"never closed,2024-01-01,1,2,1', GOOD, 'x"y,2024-01-01,29,0.5,1', GOOD]
    report = load_text(sink, path, *lines)
    assert report.rejected == len(BAD_CSV) + 1
    found = rejects_of(path)
    # The quoted cell has a line end, so later rows are one line further down.
    assert [reject["line"] for reject in found] == [
        *range(6, 6 + len(BAD_CSV)),
        6 + len(BAD_CSV),
    ]
    assert found[-1]["reason"] == "a quote is opened and not closed"
    assert set(sink.views["sample"]) == {"ann", 'two\nlines, "quoted"', 'x"y'}
    assert sink.views["sample"]["ann"]["events_total"] == 3


def test_text_that_is_not_utf8_is_one_bad_row(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.csv"
    report = load_text(sink, path, HEADER, GOOD, b"b\xff,2024-01-01,29,0.5,1", GOOD)
    assert report.rejected == 1
    assert rejects_of(path) == [
        {
            "line": 3,
            "reason": "not UTF-8 at byte 1 of the row",
            "raw": "b\\xff,2024-01-01,29,0.5,1",
        }
    ]
    assert sink.views["sample"]["ann"]["events_total"] == 2


def test_forms_of_a_time(tmp_path: Path, sink: Sink) -> None:
    moments = {
        "2024-03-13 10:21:14": 1710325274000,
        "2024-03-13T10:21:14": 1710325274000,
        "2024-03-13T10:21:14.987654": 1710325274987,
        "2024-03-13T10:21:14Z": 1710325274000,
        "2024-03-13 10:21:14 UTC": 1710325274000,
        "2024-03-13T12:21:14+02:00": 1710325274000,
        "2024-03-13 05:51:14.5-0430": 1710325274500,
        "2024-03-13T10:21": 1710325260000,
        "2024-03-13": 1710288000000,
    }
    lines = [f"u{index},{text},1,1,1" for index, text in enumerate(moments)]
    load_text(sink, tmp_path / "in.csv", HEADER, *lines, f"near,{NEAR},1,1,1")
    written = [row["event_time"] for row in sink.views["sample"].values()]
    assert written[1:] == list(moments.values())


BAD_JSON = {
    '{"user_id": "bob", "at": "2024-01-01"': "not JSON: Expecting ',' delimiter at character 37",
    "[1, 2]": "not a JSON object but an array",
    '"text"': "not a JSON object but a string",
    '{"user_id": 7, "at": "2024-01-01"}': "user_id: expected a string, found 7",
    '{"user_id": "bob", "at": "2024-01-01", "age": "29"}': (
        "age: expected an integer of 64 bits, found a string"
    ),
    '{"user_id": "bob", "at": "2024-01-01", "age": 29.5}': (
        "age: expected an integer of 64 bits, found 29.5"
    ),
    '{"user_id": "bob", "at": "2024-01-01", "age": true}': (
        "age: expected an integer of 64 bits, found true"
    ),
    '{"user_id": "bob", "at": "2024-01-01", "age": 9223372036854775808}': (
        "age: expected an integer of 64 bits, found 9223372036854775808"
    ),
    '{"user_id": "bob", "at": "2024-01-01", "member": 1}': (
        "member: expected true or false, found 1"
    ),
    '{"user_id": "bob", "at": "2024-01-01", "age": 1, "age": 2}': "age: given more than once",
    '{"user_id": "bob", "at": 1710325274}': "at: expected a string, found 1710325274",
    '{"user_id": "bob", "at": "soon"}': "at: expected a time in ISO 8601, found 'soon'",
    '{"user_id": "bob"}': "at: missing",
    '{"user_id": null, "at": "2024-01-01"}': "user_id: missing",
    '{"user_id": "", "at": "2024-01-01"}': "user_id: missing",
    '{"user_id": "bob", "at": "2024-01-01", "score": 1e300}': (
        "score: expected a number that Float32 can hold, found 1e+300"
    ),
    "[" * 100_000: "not JSON that can be read: nested too deeply or a number too long",
    '{"user_id": "bob", "at": "2024-01-01"} {"user_id": "x"}': (
        "not JSON: Extra data at character 39"
    ),
}
GOOD_JSON = (
    '{"user_id": "ann", "at": "2024-01-01", "age": 29, "score": 1, "member": true, "other": [{}]}'
)


@pytest.mark.parametrize(("line", "reason"), BAD_JSON.items(), ids=lambda text: text[:40])
def test_a_bad_json_line_is_named_and_the_others_are_loaded(
    tmp_path: Path, sink: Sink, line: str, reason: str
) -> None:
    path = tmp_path / "in.ndjson"
    report = load_text(sink, path, GOOD_JSON, "", line, GOOD_JSON)
    assert (report.rows, report.rejected, report.failure) == (3, 1, None)
    assert rejects_of(path) == [{"line": 3, "reason": reason, "raw": line}]
    assert sink.views["sample"]["ann"]["events_total"] == 2


@pytest.mark.parametrize("block", [1, 50, 1 << 20])
def test_all_kinds_of_bad_json_lines_together(
    tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(stream, "READ_BYTES", block)
    path = tmp_path / "in.ndjson"
    bad = {line: reason for line, reason in BAD_JSON.items() if len(line) < 1000}
    lines: list[str] = []
    expected = []
    for line, reason in bad.items():
        lines += [GOOD_JSON, line]
        expected.append({"line": len(lines), "reason": reason, "raw": line})
    load_text(sink, path, *lines)
    assert rejects_of(path) == expected
    assert sink.views["sample"]["ann"]["events_total"] == len(bad)


def test_a_column_that_is_null_for_long_has_the_type_of_its_first_value(
    tmp_path: Path, sink: Sink
) -> None:
    class Pages(FeatureView, entity=user, source=events):
        pages: Int64 = Feature(distinct("page"))

    definitions = Registry.from_definitions([Pages])
    path = tmp_path / "in.ndjson"
    lines = ['{"user_id": "ann", "at": "2024-01-01", "page": null}'] * 1500
    lines += [f'{{"user_id": "ann", "at": "2024-01-01", "page": {n % 3}}}' for n in range(100)]
    path.write_text("\n".join(lines))
    assert load(sink, definitions, [path]).rejected == 0
    assert sink.views["pages"]["ann"]["pages"] == 3


def test_bad_parquet_rows(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.parquet"
    moment = dt.datetime(2024, 1, 1)
    pl.DataFrame(
        {
            "user_id": ["ann", None, "bob", "eve"],
            "at": [moment, moment, None, moment],
            "age": [1.0, 2.0, 3.0, 4.5],
            "score": [1, 2, 3, 4],
            "member": [True, False, None, True],
        }
    ).write_parquet(path)
    report = load(sink, DEFINITIONS, [path])
    assert report.rejected == 3
    reasons = [(reject["line"], reject["reason"]) for reject in rejects_of(path)]
    assert reasons == [
        (2, "user_id: missing"),
        (3, "at: missing"),
        (4, "age: expected an integer of 64 bits, found 4.5"),
    ]
    assert json.loads(rejects_of(path)[2]["raw"])["user_id"] == "eve"
    assert sink.views["sample"]["ann"]["age"] == 1


def test_a_column_of_another_type_is_one_error(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.parquet"
    frame = pl.DataFrame({"user_id": [1], "at": ["2024-01-01"]}).with_columns(
        age=1, score=1.0, member=True
    )
    frame.write_parquet(path)
    with pytest.raises(InputError, match="column user_id holds Int64, but text is expected"):
        load(sink, DEFINITIONS, [path])
    frame.with_columns(pl.col("user_id").cast(pl.String), at=1710325274).write_parquet(path)
    with pytest.raises(InputError, match='integers need timestamp_format="unix"'):
        load(sink, DEFINITIONS, [path])


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_missing_columns_are_one_error_that_names_those_present(
    tmp_path: Path, sink: Sink, ending: str
) -> None:
    path = tmp_path / f"in.{ending}"
    frame = pl.DataFrame(
        {"user_id": ["ann"], "when": ["2024-01-01"], "age": [29], "member": [True]}
    )
    if ending == "csv":
        frame.write_csv(path)
    elif ending == "ndjson":
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)
    with pytest.raises(InputError) as caught:
        load(sink, DEFINITIONS, [path])
    assert str(caught.value) == (
        f"{path}: no column at, score; the file has: user_id, when, age, member."
        " Correct the source's mapping in the definitions, or the file's header"
    )
    assert not sink.views


RANDOM = f"{HEADER}\n".encode() + base64.encodebytes(os.urandom(300_000))
ZSTD = pa.compress(RANDOM, codec="zstd", asbytes=True)
LZ4 = pa.compress(RANDOM, codec="lz4", asbytes=True)
BZ2 = bz2.compress(RANDOM)

UNUSABLE = {
    "empty.csv": (b"", "no header line"),
    "twice.csv": (b"user_id,at,at\n", "names at more than once"),
    "bytes.csv": (b"user_id\xff,at\n", "not CSV in UTF-8"),
    "cut.csv.gz": (gzip.compress(os.urandom(100_000))[:50_000], "cut short"),
    "not.csv.gz": (b"user_id,at\n", "not a valid gzip file"),
    "not.csv.zst": (b"user_id,at\n", "cannot read"),
    "cut.csv.zst": (ZSTD[: len(ZSTD) // 2], "Truncated"),
    "cut.csv.lz4": (LZ4[: len(LZ4) // 2], "Truncated"),
    "cut.csv.bz2": (BZ2[: len(BZ2) // 2], "Truncated"),
    "not.parquet": (b"user_id,at\n", "cannot read"),
    "what.xlsx": (b"", "names no known format"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_file_is_one_error_and_nothing_is_written(
    tmp_path: Path, sink: Sink, name: str
) -> None:
    content, message = UNUSABLE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load(sink, DEFINITIONS, [tmp_path / name])
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not sink.views


def test_a_file_that_is_cut_short_in_its_middle_writes_nothing(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.csv.gz"
    rows = "".join(f"u{n},2024-01-01,{n},{n / 7},1\n" for n in range(50_000))
    path.write_bytes(gzip.compress(f"{HEADER}\n{rows}".encode())[:-1000])
    with pytest.raises(InputError, match="cut short"):
        load(sink, DEFINITIONS, [path])
    assert not sink.views


def test_files_that_are_not_there(tmp_path: Path, sink: Sink) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(sink, DEFINITIONS, [tmp_path / "none.csv"])
    with pytest.raises(InputError, match="is a folder"):
        load(sink, DEFINITIONS, [tmp_path])
    (tmp_path / "in.csv").write_text(f"{HEADER}\n{GOOD}\n")
    with pytest.raises(InputError, match="named twice"):
        load(sink, DEFINITIONS, [tmp_path / "in.csv", tmp_path / "." / "in.csv"])


def test_when_every_row_is_rejected_nothing_is_loaded_and_the_report_says_so(
    tmp_path: Path, sink: Sink
) -> None:
    report = load_text(sink, tmp_path / "in.csv", HEADER, "a,never,1,1,1", "b,never,1,1,1")
    assert report.failure == "all 2 rows were rejected, so nothing was loaded"
    assert not sink.views


def test_more_rejects_than_allowed(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\n{GOOD}\na,never,1,1,1\nb,never,1,1,1\n")
    assert load(sink, DEFINITIONS, [path], max_rejects=2).failure is None
    sink.views.clear()
    failure = load(sink, DEFINITIONS, [path], max_rejects=1).failure
    assert failure is not None
    assert "more than 1 rows were rejected" in failure
    assert not sink.views


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\n{GOOD}\na,never,1,1,1\n")
    report = load(None, DEFINITIONS, [path])
    assert (report.dry_run, report.rejected, report.files[0].rejects) == (True, 1, None)
    assert [view.rows for view in report.views] == [1]
    assert report.files[0].examples[0].reason.startswith("at: expected")
    assert list(tmp_path.iterdir()) == [path]


def test_rejects_of_an_earlier_load_do_not_stay(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "in.csv"
    load_text(sink, path, HEADER, GOOD, "a,never,1,1,1")
    assert len(rejects_of(path)) == 1
    sink.views.clear()
    load_text(sink, path, HEADER, GOOD)
    assert list(tmp_path.iterdir()) == [path]


def test_rejects_go_to_another_folder_on_request(tmp_path: Path, sink: Sink) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "in.csv"
    path.write_text(f"{HEADER}\n{GOOD}\na,never,1,1,1\n")
    report = load(sink, DEFINITIONS, [path], rejects_dir=tmp_path / "out")
    assert report.files[0].rejects == tmp_path / "out" / "in.csv.rejects.ndjson"
    with pytest.raises(InputError, match="--rejects-dir"):
        load(sink, DEFINITIONS, [path], rejects_dir=tmp_path / "nowhere")


def test_files_without_rows_write_nothing_and_are_not_a_failure(tmp_path: Path, sink: Sink) -> None:
    for name, text in {"in.csv": HEADER, "in.ndjson": "\n\n"}.items():
        (tmp_path / name).write_text(f"{text}\n")
        report = load(sink, DEFINITIONS, [tmp_path / name])
        assert (report.rows, report.failure, report.views[0].rows) == (0, None, 0)


def test_lists_in_text_and_in_columns(tmp_path: Path, sink: Sink) -> None:
    class Tagged(FeatureView, entity=user, source=events):
        tags: List[Int64] = Feature(latest("tags"))

    definitions = Registry.from_definitions([Tagged])
    rows = [("ann", "[1, 2]"), ("bob", "[]"), ("eve", "[1, null]"), ("joe", "[1, x]"), ("kim", "")]
    (tmp_path / "in.csv").write_text(
        "user_id\tat\ttags\n" + "".join(f"{name}\t2024-01-01\t{tags}\n" for name, tags in rows)
    )
    report = load(sink, definitions, [tmp_path / "in.csv"], format_name="tsv")
    values = {name: row["tags"] for name, row in sink.views["tagged"].items()}
    assert values == {"ann": [1, 2], "bob": [], "kim": None}
    assert report.rejected == 2
    sink.views.clear()
    pl.DataFrame(
        {
            "user_id": ["ann", "bob", "eve", "kim"],
            "at": [dt.date(2024, 1, 1)] * 4,
            "tags": [[1, 2], [], [1, None], None],
        }
    ).write_parquet(tmp_path / "in.parquet")
    assert load(sink, definitions, [tmp_path / "in.parquet"]).rejected == 1
    assert {name: row["tags"] for name, row in sink.views["tagged"].items()} == values
