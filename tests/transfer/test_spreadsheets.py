"""Files that spreadsheets, pandas and shells made of an export or write themselves, and files that break off."""

import codecs
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support import Telemetry

TEXTS = [
    "'--march' is no option", "'@types/node' was not found", "=1+1", "a\r\nb\rc", "\r", "\x1b[31mred\x07", "literal \\x1b and C:\\x0d", "12\u00a0%",
    "\u202eright to left", "'\\", "{not json \x1b", "a;b,c\td|e\"f", " spaces ", "\ufeffmark", "'", "\\",
]  # fmt: skip
COLUMNS = "agent_name,job_type,start_time,event_id,product"


def rows(number: int = 500, product: str = "") -> str:
    return "".join(f"a,j,2026-01-31T12:00:00Z,e{n},{product}\r\n" for n in range(number))


def records(number: int) -> list[dict[str, Any]]:
    return [
        {
            "event_id": f"e{n}",
            "agent_name": "a",
            "job_type": "j",
            "start_time": "2026-01-31T12:00:00Z",
            "error_summary": f"{n:x}" * 40,
        }
        for n in range(number)
    ]


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def elsewhere(path: Path) -> Telemetry:
    return Telemetry(path)


def test_every_text_of_an_exported_csv_comes_back(telemetry: Telemetry, tmp_path: Path) -> None:
    given = [
        record | {"error_summary": text, "metrics_json": {"text": text}}
        for record, text in zip(records(len(TEXTS)), TEXTS, strict=True)
    ]
    telemetry("import", write(tmp_path / "in.json", json.dumps(given).encode()))
    telemetry("export", "--to", str(tmp_path / "out.csv"))
    other = elsewhere(tmp_path / "other")
    other("import", str(tmp_path / "out.csv"))
    asked = (
        "query",
        "--columns",
        "event_id,error_summary,metrics_json",
        "--limit",
        "0",
        "--sort",
        "event_id",
        "-o",
        "jsonl",
    )
    assert other(*asked).out == telemetry(*asked).out


def test_escapes_that_are_read_are_told_of(telemetry: Telemetry, tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", (COLUMNS + "\r\n" + rows(3, "a\\x1bb")).encode())
    ran = telemetry("import", path)
    assert (
        "product is read with the characters that its escapes stand for (3 times, first on line 2)"
        in ran.err
    )
    assert telemetry.run("e0")["product"] == "a\x1bb"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize(
    "separator", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"]
)
@pytest.mark.parametrize("is_declared", [False, True], ids=["", "declared"])
def test_csv_of_a_spreadsheet_is_read(
    separator: str, encoding: str, is_declared: bool, telemetry: Telemetry, tmp_path: Path
) -> None:
    product = "Müll, er; x | y\tz"
    file = io.StringIO(f"sep={separator}\r\n" if is_declared else "", newline="")
    file.seek(0, io.SEEK_END)
    csv.writer(file, delimiter=separator).writerows(
        [
            COLUMNS.split(","),
            *(("a", "j", "2026-01-31T12:00:00Z", f"e{n}", product) for n in range(3)),
        ]
    )
    content = file.getvalue().encode(encoding)
    path = write(
        tmp_path / "in.csv", codecs.BOM_UTF16_BE + content if encoding == "utf-16-be" else content
    )
    telemetry("import", path)
    assert [row["product"] for row in telemetry("query", "--json").json] == [product] * 3


def test_line_of_a_bad_row_behind_a_declared_separator(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    path = write(tmp_path / "in.csv", b"sep=;\r\nagent_name;job_type;start_time\r\na;j;never\r\n")
    assert "line 3: start_time" in telemetry("import", path, code=1).err


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_json_in_utf16_is_read(form: str, telemetry: Telemetry, tmp_path: Path) -> None:
    text = "\n".join(map(json.dumps, records(3))) if form == "ndjson" else json.dumps(records(3))
    telemetry("import", write(tmp_path / f"in.{form}", text.encode("utf-16")))
    assert telemetry("query", "--count").line == "3"


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (
            (COLUMNS + "\r\n" + rows(500, "Müller")).encode("cp1252"),
            1,
            "product: not UTF-8 text; save the file as UTF-8",
        ),
        (
            (COLUMNS + "\r\n" + rows(3)).encode("utf-16-le"),
            2,
            "looks like UTF-16 without a byte order mark",
        ),
        (b"name:job\r\na:b\r\n", 2, "line 1: names no column of a run"),
        (b"a,j,2026-01-31T12:00:00Z\r\n" * 500, 2, "line 1: names no column of a run"),
    ],
    ids=["cp1252", "utf-16", "separator", "no header"],
)
def test_what_cannot_be_read_is_named_in_a_few_lines(
    content: bytes, code: int, said: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    ran = telemetry("import", write(tmp_path / "in.csv", content), code=code)
    assert said in ran.err
    assert len((ran.out + ran.err).splitlines()) <= 5


def test_rows_that_are_utf8_are_imported_beside_those_that_are_not(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    text = (
        COLUMNS
        + "\r\n"
        + rows(2)
        + "a,j,2026-01-31T12:00:00Z,bad,M\u00fcller\r\na,j,2026-01-31T12:00:00Z,good,x\r\n"
    )
    ran = telemetry("import", write(tmp_path / "in.csv", text.encode("cp1252")), "--json", code=1)
    assert (
        ran.json["created"],
        [(error["line"], error["field"]) for error in ran.json["errors"]],
    ) == (3, [(4, "product")])


def pandas_csv(content: str) -> str:
    """What pandas makes of a file: row numbers first, and `.0` behind the numbers of a column with gaps."""
    header, *body = csv.reader(io.StringIO(content, newline=""))
    gaps = [name for place, name in enumerate(header) if any(not row[place] for row in body)]
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["", *header])
    for number, row in enumerate(body):
        writer.writerow(
            [
                number,
                *(
                    f"{cell}.0" if name in gaps and cell.isdigit() else cell
                    for name, cell in zip(header, row, strict=True)
                ),
            ]
        )
    return made.getvalue()


def test_what_pandas_makes_of_an_exported_csv_is_imported(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    telemetry("run", "exec", "--no-git", "--agent-name", "a", "--", "true")
    telemetry.start("--event-id", "z")
    made = pandas_csv(telemetry("export", "--to", "-", "--format", "csv").out)
    assert ".0," in made
    other = elsewhere(tmp_path / "other")
    ran = other("import", write(tmp_path / "back.csv", made.encode()))
    assert "a column without a name is left out (2 times" in ran.err
    asked = (
        "query",
        "--columns",
        "event_id,pid,process_started,start_time,duration_ms,context_json",
        "--sort",
        "event_id",
        "-o",
        "jsonl",
    )
    assert other(*asked).out == telemetry(*asked).out
    assert (
        "no name of a column" in other("import", str(tmp_path / "back.csv"), "--atomic", code=1).err
    )


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_what_pandas_makes_of_json_is_imported(
    form: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    given = {
        "event_id": "e", "agent_name": "a", "job_type": "j", "start_time": 1769860800123, "end_time": None, "pid": 22169.0, "process_started": 322350.0,
        "items_failed": 2.0, "product": 42, "metrics_json": "{}", "context_json": {"pid": 1.0}, "events": [],
    }  # fmt: skip
    ran = telemetry(
        "import",
        write(tmp_path / f"in.{form}", json.dumps(given if form == "ndjson" else [given]).encode()),
    )
    run = telemetry.run("e")
    assert (run["start_time"], run["pid"], run["process_started"], run["items_failed"]) == (
        "2026-01-31T12:00:00.123Z",
        22169,
        "322350",
        2,
    )
    assert (run["product"], run["context_json"]) == ("42", {"pid": 1.0})
    assert "start_time is a number, and read as a time since 1970" in ran.err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("items_failed", 2.5),
        ("items_failed", "2.0"),
        ("start_time", 5),
        ("job_type", 5),
        ("items_failed", -2.0),
    ],
)
def test_other_numbers_are_refused_as_ever(
    name: str, value: object, telemetry: Telemetry, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "in.ndjson", json.dumps(records(1)[0] | {"pid": 7.0, name: value}).encode()
    )
    ran = telemetry("import", path, "--json", code=1)
    assert [error["field"] for error in ran.json["errors"]] == [name]


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_packed_file_that_breaks_off_gives_what_came_before(
    form: str, telemetry: Telemetry, tmp_path: Path
) -> None:
    given = records(1000)
    text = {
        "json": json.dumps(given),
        "ndjson": "".join(json.dumps(record) + "\n" for record in given),
        "csv": ",".join(given[0])
        + "\n"
        + "".join(",".join(record.values()) + "\n" for record in given),
    }[form]
    packed = gzip.compress(text.encode(), 0)
    ran = telemetry(
        "import",
        write(tmp_path / f"cut.{form}.gz", packed[: len(packed) * 9 // 10]),
        "--json",
        code=1,
    )
    assert 880 <= ran.json["created"] < 920
    assert ran.json["failed"] == 1
    assert "cannot be read on" in ran.json["errors"][0]["error"]


def test_json_before_a_byte_that_is_no_text_is_imported(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    content = json.dumps(records(10)).encode()
    place = content.index(b'"e7"')
    ran = telemetry(
        "import",
        write(tmp_path / "in.json", content[:place] + b"\xff" + content[place:]),
        "--json",
        code=1,
    )
    assert (
        ran.json["created"],
        ran.json["failed"],
        "not UTF-8 text" in ran.json["errors"][0]["error"],
    ) == (7, 1, True)
