"""What an import could lose without a word: each such record is a failure that is told, or it is there."""

from pathlib import Path

import pytest
from documents import write
from support import Telemetry

HEADER = "event_id,agent_name,job_type,start_time,input_summary\n"


def csv_row(name: str, summary: str = "") -> str:
    return f"{name},a,j,2026-01-01T00:00:00Z,{summary}\n"


def ids(telemetry: Telemetry) -> list[str]:
    return sorted(row[0] for row in telemetry.sql("SELECT event_id FROM agent_runs"))


# CSV


@pytest.mark.parametrize("atomic", [False, True])
def test_a_quote_that_is_never_closed_is_told_by_the_line_that_opens_it(atomic: bool, telemetry: Telemetry, tmp_path: Path) -> None:
    text = HEADER + csv_row("q0", '"two\nlines"') + 'q1,"a",j,2026-01-01T00:00:00Z,"oops\n' + csv_row("q2") + csv_row("q3")
    telemetry.start("--event-id", "before")
    ran = telemetry("import", write(tmp_path / "runs.csv", text), "--json", *(["--atomic"] if atomic else []), code=1)
    assert (ran.json["created"], ran.json["failed"]) == (0 if atomic else 1, 1)
    assert ran.json["errors"] == [{"line": 4, "event_id": None, "field": None, "error": "not valid CSV: the quote that opens here is never closed"}]
    assert ids(telemetry) == (["before"] if atomic else ["before", "q0"])


@pytest.mark.parametrize("cell", ['"two\nli""nes","and\nthe ""quote""', '5" tall,"and the quote\n'])
def test_the_line_of_the_quote_in_a_row_of_several_lines(cell: str, telemetry: Telemetry, tmp_path: Path) -> None:
    header = HEADER.replace("\n", ",output_summary\n")
    ran = telemetry("import", write(tmp_path / "runs.csv", header, csv_row("q0"), csv_row("q1", cell), csv_row("q2")), "--json", code=1)
    assert [error["line"] for error in ran.json["errors"]] == [3 + cell.partition(',"')[0].count("\n")]


def test_what_stands_behind_a_closed_quote_costs_that_row(telemetry: Telemetry, tmp_path: Path) -> None:
    ran = telemetry("import", write(tmp_path / "runs.csv", HEADER, csv_row("q1", '"a"b'), csv_row("q2")), "--json", code=1)
    assert [(error["line"], error["error"]) for error in ran.json["errors"]] == [(2, "not valid CSV: ',' expected after '\"'")]
    assert ids(telemetry) == ["q2"]
