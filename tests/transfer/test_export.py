"""`telemetry export`: what is written, where, and how; and that what went out comes in again."""

import csv
import gzip
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.records import LEAST, RUN, dump, named, write


@pytest.fixture
def filled(telemetry: Telemetry, tmp_path: Path) -> Telemetry:
    """A base with one run that has everything, one that is going on, and one whose text a spreadsheet would compute."""
    formula = LEAST | {
        "event_id": "formula",
        "input_summary": "=1+1",
        "output_summary": "\x1b[31m@x",
        "parent_run_id": "nightly-7",
    }
    telemetry(
        "import", write(tmp_path / "filled.ndjson", RUN, LEAST | {"event_id": "going"}, formula)
    )
    telemetry("run", "event", "step", "--run", "going", "--payload", "[1.5, null, {}]")
    telemetry("associate-commit", "going", "--commit", "abcdef1", "--no-git")
    return telemetry


@pytest.mark.parametrize(
    "name", ["runs.ndjson", "runs.json", "runs.ndjson.gz", "runs.json.gz", "-"]
)
def test_out_and_in_again(name: str, filled: Telemetry, tmp_path: Path) -> None:
    other = Telemetry(tmp_path / "other")
    if name == "-":
        assert (
            other("import", "-", "--json", stdin=filled("export", "--to", "-").out).json["created"]
            == 3
        )
    else:
        path = tmp_path / name
        assert filled("export", "--to", str(path), "--json").json == {
            "exported": 3,
            "to": str(path),
            "format": name.split(".")[1],
        }
        assert other("import", str(path), "--json").json["created"] == 3
    assert dump(other) == dump(filled)


def test_a_record_is_a_run_as_it_is_queried_with_events_and_commits(filled: Telemetry) -> None:
    records = [json.loads(line) for line in filled("export", "--to", "-").out.splitlines()]
    assert [record["event_id"] for record in records] == ["nightly-7", "going", "formula"]
    queried = {run["event_id"]: run for run in filled("query", "--json").json}
    for record in records:
        assert {
            name: value for name, value in record.items() if name not in ("events", "commits")
        } == queried[record["event_id"]]
    assert [event["payload_json"] for event in records[1]["events"]] == [[1.5, None, {}]]
    assert [commit["commit_hash"] for commit in records[1]["commits"]] == ["abcdef1"]


def test_filters(filled: Telemetry) -> None:
    assert [
        json.loads(line)["event_id"]
        for line in filled(
            "export", "--to", "-", "--status", "running", "--agent-name", "a"
        ).out.splitlines()
    ] == [
        "going",
        "formula",
    ]
    assert (
        filled(
            "export",
            "--to",
            "-",
            "--format",
            "json",
            "--where",
            "items_succeeded > 5",
            "--product",
            "cells",
        ).json[0]["event_id"]
        == "nightly-7"
    )
    assert filled("export", "--to", "-", "--status", "partial").out == ""
    assert filled("export", "--to", "-", "--format", "json", "--status", "partial").json == []


@pytest.mark.parametrize("to", ["-", "runs.csv"])
def test_csv_export_names_the_details_it_omits(
    to: str, filled: Telemetry, telemetry: Telemetry, tmp_path: Path
) -> None:
    options = ("export", "--to", to, "--format")
    assert "events and commits are omitted; --format ndjson" in filled(*options, "csv").err
    assert filled(*options, "ndjson").err == ""
    other = Telemetry(tmp_path / "other")
    other.start()
    assert other(*options, "csv").err == ""


def test_csv_is_flat_and_neutralised(filled: Telemetry, tmp_path: Path) -> None:
    rows = {
        row["event_id"]: row
        for row in csv.DictReader(io.StringIO(filled("export", "--to", "-", "--format", "csv").out))
    }
    assert (rows["formula"]["input_summary"], rows["formula"]["output_summary"]) == (
        "'=1+1",
        "\\x1b[31m@x",
    )
    assert json.loads(rows["nightly-7"]["metrics_json"])["cost"] == 0.25
    assert {"events", "commits"}.isdisjoint(rows["going"])
    filled("export", "--to", str(tmp_path / "runs.csv"))
    assert "\x1b" not in (tmp_path / "runs.csv").read_text()
    other = Telemetry(tmp_path / "other")
    assert other("import", str(tmp_path / "runs.csv"), "--json").json["created"] == 3
    assert other.run("formula")["input_summary"] == "=1+1"
    assert other.run("nightly-7")["metrics_json"] == RUN["metrics_json"]


def test_the_file_is_private_and_appears_whole(filled: Telemetry, tmp_path: Path) -> None:
    path = tmp_path / "runs.ndjson"
    path.write_text("before")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        filled("export", "--to", str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    whole = path.read_bytes()
    filled("export", "--to", str(path), "--where", "nonsense", code=2)
    filled(
        "export", "--to", str(path), "--where", "json_extract(context_json, 'no path') > 1", code=2
    )
    assert path.read_bytes() == whole
    assert [entry.name for entry in tmp_path.iterdir() if entry.suffix == ".tmp"] == []


def test_a_link_is_followed_to_the_file_that_it_means(filled: Telemetry, tmp_path: Path) -> None:
    (tmp_path / "target.ndjson").write_text("before")
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "target.ndjson")
    filled("export", "--to", str(tmp_path / "link.ndjson"))
    assert (tmp_path / "link.ndjson").is_symlink()
    assert len((tmp_path / "target.ndjson").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--to", ""],
        ["--to", "x.txt"],
        ["--to", "x.xlsx"],
        ["--to", "x", "--format", "sqlite"],
        ["--to", "/nowhere/x.json"],
        ["--to", "-", "--format", "parquet"],
        ["--to", "/dev/stdout", "--format", "parquet"],
    ],
)
def test_what_cannot_be_written_is_a_usage_error(argv: list[str], filled: Telemetry) -> None:
    filled("export", *argv, code=2)


def test_nothing_is_made_where_nothing_was_recorded(telemetry: Telemetry) -> None:
    assert telemetry("export", "--to", "-").out == ""
    assert not telemetry.base.exists()


def test_gzip_is_the_same_each_time(filled: Telemetry, tmp_path: Path) -> None:
    for name in ("one.json.gz", "two.json.gz"):
        filled("export", "--to", str(tmp_path / name))
    assert (tmp_path / "one.json.gz").read_bytes() == (tmp_path / "two.json.gz").read_bytes()
    assert len(json.loads(gzip.decompress((tmp_path / "one.json.gz").read_bytes()))) == 3


def test_a_stalled_pipe_delays_no_writer(telemetry: Telemetry, tmp_path: Path) -> None:
    telemetry("import", write(tmp_path / "many.ndjson", *named(3000, events=RUN["events"])))
    reader = telemetry.popen("export", "--to", "-", stdout=subprocess.PIPE)
    assert reader.stdout
    assert reader.stdout.read(1) == b"{"
    event_id = telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "1"})
    assert telemetry.sql("SELECT count(*) FROM agent_runs WHERE event_id = ?", event_id) == [(1,)]
    assert reader.poll() is None
    assert len((b"{" + reader.communicate()[0]).splitlines()) == 3000


def test_parquet(filled: Telemetry, tmp_path: Path) -> None:
    parquet = pytest.importorskip(
        "pyarrow.parquet", reason="pyarrow is not installed (the extra `parquet`)"
    )
    filled("export", "--to", str(tmp_path / "runs.parquet"))
    rows = {
        row["event_id"]: row for row in parquet.read_table(tmp_path / "runs.parquet").to_pylist()
    }
    assert rows["nightly-7"]["items_succeeded"] == 7
    assert json.loads(rows["nightly-7"]["metrics_json"]) == RUN["metrics_json"]
    assert [event["event_type"] for event in json.loads(rows["nightly-7"]["events"])] == [
        "checkpoint",
        "checkpoint",
        "note",
    ]
    assert (rows["going"]["end_time"], len(rows)) == (None, 3)


def test_parquet_names_its_extra_where_it_is_missing(filled: Telemetry, tmp_path: Path) -> None:
    script = "import sys; sys.modules['pyarrow'] = None; sys.argv = ['telemetry', 'export', '--to', sys.argv[1]]\n"
    script += "from telemetry_cli.cli import main; sys.exit(main.main())"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "runs.parquet")],
        env=filled.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "pip install 'telemetry-cli[parquet]'" in done.stderr
    assert not (tmp_path / "runs.parquet").exists()


def test_a_fifo_is_written_into_and_stays(filled: Telemetry, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.ndjson"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", str(fifo)], stdout=subprocess.PIPE) as reader:
        filled("export", "--to", str(fifo))
        out, _ = reader.communicate(timeout=60)
    assert [json.loads(line)["event_id"] for line in out.splitlines()] == [
        "nightly-7",
        "going",
        "formula",
    ]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert [path.name for path in tmp_path.glob("fifo*")] == ["fifo.ndjson"]


def test_a_device_is_written_into_and_stays(filled: Telemetry) -> None:
    """A terminal's, which no mistake can destroy, as it could /dev/null."""
    master, slave = os.openpty()
    try:
        place = os.ttyname(slave)
        filled("export", "--to", place, "--format", "ndjson", "--status", "success")
        assert json.loads(os.read(master, 65536))["event_id"] == "nightly-7"
        assert stat.S_ISCHR(os.stat(place).st_mode)
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("shape", ["ndjson", "json", "csv"])
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_stdout_by_its_name_in_the_file_system_is_stdout(
    place: str, shape: str, option: tuple[str, ...], filled: Telemetry
) -> None:
    assert (
        filled("export", "--to", place, "--format", shape, *option).out
        == filled("export", "--to", "-", "--format", shape).out
    )


def test_another_name_of_the_pipe_that_stdout_is(filled: Telemetry) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {PROGRAM} export --to /dev/fd/3 --format ndjson 3>&1"],
        env=filled.env,
        cwd=filled.cwd,
        capture_output=True,
        text=True,
    )
    assert [json.loads(line)["event_id"] for line in done.stdout.splitlines()] == [
        "nightly-7",
        "going",
        "formula",
    ]


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1"])
def test_stdout_that_is_a_file_is_written_on(place: str, filled: Telemetry, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with target.open("wb") as file:
        file.write(b"before\n")
        file.flush()
        assert (
            filled.popen("export", "--to", place, "--format", "ndjson", stdout=file).wait(60) == 0
        )
    assert [line[:1] for line in target.read_text().splitlines()] == ["b", "{", "{", "{"]


def test_events_without_a_run_are_told_of(telemetry: Telemetry, tmp_path: Path) -> None:
    event = {
        "record_type": "event",
        "run_id": "gone",
        "event_type": "step",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    telemetry(
        "import",
        write(tmp_path / "events.ndjson", event, event | {"event_type": "end"}),
        "--format",
        "legacy-ndjson",
    )
    for to in ("-", str(tmp_path / "runs.ndjson")):
        assert (
            "2 events are omitted because their run is missing; list them: telemetry sql "
            in telemetry("export", "--to", to).err
        )
    assert "events are omitted" not in telemetry("export", "--to", "-", "--agent-name", "a").err
    assert telemetry("sql", "SELECT count(*) FROM run_events WHERE event_id IS NULL", "--json").json
