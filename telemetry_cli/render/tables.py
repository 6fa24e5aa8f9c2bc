"""Results as rich tables, fitted to the terminal. Everything from outside is made printable and never read as markup."""

import io
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice, pairwise
from os.path import commonprefix

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from telemetry_cli.clock import parse_stamp
from telemetry_cli.commands.result import Card, Listing, Record
from telemetry_cli.render.text import printable
from telemetry_cli.rules import encode

Part = Table | Text

_PAGE = 1000
_WIDEST = 10_000
_GAP = 3
#: How many columns the lines of a tree may take; what is deeper stands at the same place.
_DEEPEST_GUIDE = 32
_SHORTEST_TEXT = 6
_STATUS_STYLES = {"running": "cyan", "success": "green", "failure": "red", "partial": "yellow", "timeout": "magenta", "cancelled": "dim"}
_FREE_TEXT = {
    "group",
    "agent_name", "job_type", "git_branch", "branch", "author", "git_commit_author", "payload_json", "metrics_json", "context_json", "event_type", "value",
    "source", "input_summary", "output_summary", "error_summary", "error_details", "git_repo", "repo", "what", "where", "todo",
}  # fmt: skip

#: view → (heading → the row's text). What a listing shows when the user names no columns.
_COLUMNS: dict[str, dict[str, str]] = {
    "runs": {
        "run": "event_id",
        "agent": "agent_name",
        "job": "job_type",
        "status": "status",
        "started": "start_time",
        "duration": "duration_ms",
        "commit": "git_commit_hash",
        "branch": "git_branch",
    },
    "events": {"time": "timestamp", "type": "event_type", "payload": "payload_json", "trace": "trace_id"},
    "commits": {
        "run": "event_id",
        "commit": "commit_hash",
        "role": "role",
        "source": "source",
        "author": "author",
        "committed": "timestamp",
        "branch": "branch",
    },
    "findings": {"severity": "severity", "what": "what", "where": "where", "what to do": "todo"},
    "settings": {"setting": "setting", "value": "value", "source": "source"},
    "stats": {
        "group": "group",
        "runs": "runs",
        **{name: name for name in ("running", "success", "failure", "partial", "timeout", "cancelled")},
        "rate": "success_rate",
        "p50": "p50_ms",
        "p95": "p95_ms",
        "max": "max_ms",
        "found": "items_discovered",
        "done": "items_succeeded",
        "failed": "items_failed",
        "skipped": "items_skipped",
    },
}
#: What a narrow terminal does without, the first one first; a column the user named stays.
_DROPPED_FIRST = (
    "trace_id", "git_branch", "branch", "author", "items_skipped", "items_discovered", "items_failed", "items_succeeded", "cancelled", "timeout", "partial",
    "git_commit_hash", "max_ms", "duration_ms", "job_type", "source", "role",
)  # fmt: skip
#: Fields that are wrapped rather than cut: a path is of no use without its end.
_WHOLE = ("value", "what", "where", "todo")
#: What makes a column empty, and left out; of figures a nought says as little as nothing.
_EMPTY = {"stats": (None, "", 0)}
#: Counts and figures, aligned by their last digit.
_NUMBERS = {
    "duration_ms", "runs", "running", "success", "failure", "partial", "timeout", "cancelled", "success_rate", "p50_ms", "p95_ms", "max_ms",
    "items_discovered", "items_succeeded", "items_failed", "items_skipped",
}  # fmt: skip
_AGENTS = 12
_NOTHING = {
    "runs": "No runs. Leave a filter out, or record one: telemetry run start --agent-name NAME --job-type TYPE",
    "events": "No events. Record one: telemetry run event TYPE",
    "commits": "No commits. Associate one: telemetry associate-commit",
    "settings": "No settings.",
    "findings": "All is well.",
    "stats": "No runs. Leave a filter out, or record one: telemetry run start --agent-name NAME --job-type TYPE",
    "sql": "No rows.",
}


def draw(result: Card | Listing) -> Iterator[str]:
    """The text of a result: tables for a listing, a card for a single thing."""
    console = _console(whole=isinstance(result, Listing) and result.view in ("settings", "findings"))
    for part in _parts(result, console.width):
        console.print(part)
        yield _taken(console)


def _console(*, whole: bool) -> Console:
    """A console that draws into memory, with the width and colours of stdout (NO_COLOR and FORCE_COLOR respected).

    To a pipe nothing has to fit; tables are still kept readable, unless `whole` wants every value to its end.
    """
    stdout = Console()
    return Console(
        file=io.StringIO(),
        width=stdout.width if sys.stdout.isatty() else _WIDEST if whole else max(stdout.width, 120),
        force_terminal=stdout.is_terminal,
        no_color=stdout.no_color,
        # rich names the system it found by a word that its own parameter types do not list.
        color_system=stdout.color_system if stdout.is_terminal else None,  # type: ignore[arg-type]
        markup=False,
        highlight=False,
        emoji=False,
    )


def _taken(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    console.file.seek(0)
    console.file.truncate()
    return text


def _parts(result: Card | Listing, width: int) -> Iterator[Part]:
    if isinstance(result, Listing):
        yield from _tables(result, width)
    else:
        yield from {"metadata": _metadata, "run": _run_card, "status": _status, "tree": _run_tree}[result.view](result, width)


def _tables(listing: Listing, width: int) -> Iterator[Part]:
    """A listing, one table to a page of rows, so that memory does not grow with it; the first page settles the columns."""
    rows = iter(listing.rows)
    layout = None
    while page := list(islice(rows, _PAGE)):
        columns = layout.columns if layout else _columns(listing, page)
        shorten = _shortest_prefixes(page) if not listing.chosen and "event_id" in page[0] else str
        cells = [[_cell(name, row, listing.absolute, shorten) for name in columns.values()] for row in page]
        is_first = layout is None
        layout = layout or _Layout(columns, cells, width, may_drop=not listing.chosen)
        if is_first:
            cells = [[row[index] for index in layout.kept] for row in cells]
        marks = [row.get("event_id") in listing.marked for row in page]
        yield layout.table(cells, marks, with_header=is_first)
    if layout is None:
        yield Text(_NOTHING[listing.view])


def _columns(listing: Listing, page: list[Record]) -> dict[str, str]:
    """Heading → field: what the user chose, else the view's columns that hold anything on this page."""
    if listing.chosen:
        return {name: name for name in listing.columns}
    return {heading: name for heading, name in _COLUMNS[listing.view].items() if any(row[name] not in _EMPTY.get(listing.view, (None, "")) for row in page)}


class _Layout:
    """The columns of a listing that fit, and their widths; `kept` are their places among all of them."""

    def __init__(self, columns: dict[str, str], cells: list[list[Text]], width: int, *, may_drop: bool) -> None:
        headings, names = list(columns), list(columns.values())
        widths = [max(len(heading), *(row[index].cell_len for row in cells)) for index, heading in enumerate(headings)]
        self.kept = list(range(len(names)))
        droppable = [names.index(name) for name in _DROPPED_FIRST if name in names] if may_drop else []
        while droppable and _least(widths, names, self.kept) > width:
            self.kept.remove(droppable.pop(0))
        self.columns = {headings[index]: names[index] for index in self.kept}
        self.widths = [widths[index] for index in self.kept]
        _fit(self.widths, [names[index] in _FREE_TEXT for index in self.kept], width - _GAP * (len(self.kept) - 1))

    def table(self, cells: list[list[Text]], marks: list[bool], *, with_header: bool) -> Table:
        """One page; rows with a mark stand out."""
        table = Table(box=SIMPLE_HEAD, show_header=with_header, show_edge=False, pad_edge=False, header_style="bold")
        for (heading, name), width in zip(self.columns.items(), self.widths, strict=True):
            table.add_column(
                Text(printable(heading)),
                justify="right" if name in _NUMBERS else "left",
                overflow="fold" if name in _WHOLE else "ellipsis",
                no_wrap=name not in _WHOLE,
                width=width,
            )
        for row, mark in zip(cells, marks, strict=True):
            table.add_row(*row, style="reverse" if mark else None)
        return table


def _least(widths: list[int], names: list[str], kept: list[int]) -> int:
    """The width below which these columns could not be read: free text may be cut to a few characters, nothing else."""
    return sum(min(widths[index], _SHORTEST_TEXT) if names[index] in _FREE_TEXT else widths[index] for index in kept) + _GAP * (len(kept) - 1)


def _fit(widths: list[int], may_shrink: list[bool], room: int) -> None:
    """Make the columns fit: free text gives way, the widest first, before ids, times and numbers do."""
    for chosen, least in ((may_shrink, _SHORTEST_TEXT), ([True] * len(widths), 1)):
        while sum(widths) > room:
            candidates = [index for index, width in enumerate(widths) if chosen[index] and width > least]
            if not candidates:
                break
            widths[max(candidates, key=widths.__getitem__)] -= 1


def _shortest_prefixes(rows: list[Record]) -> Callable[[str], str]:
    """Shorten random event ids to a prefix that tells those shown apart, 8 characters at least."""
    ids = sorted({str(row["event_id"]) for row in rows})
    need = 12 if len(rows) == _PAGE else 8
    for neighbours in pairwise(ids):
        need = max(need, len(commonprefix(neighbours)) + 1)  # noqa: RUF071 - characters are what is compared
    return lambda event_id: event_id[:need] if _is_random(event_id) else event_id


def _is_random(event_id: str) -> bool:
    """Tell whether an event id looks like a UUID; of others (`build-1`, `build-2`) a beginning says little."""
    return len(event_id) == 36 and [len(part) for part in event_id.split("-")] == [8, 4, 4, 4, 12]


def _cell(name: str, row: Record, absolute: bool, shorten: Callable[[str], str] = str) -> Text:
    value = row[name]
    if value is None:
        return Text("")
    if name == "status":
        return Text(str(value), style=_STATUS_STYLES.get(str(value), ""))
    if name == "event_id":
        return Text(printable(shorten(str(value))))
    if name in ("git_commit_hash", "commit_hash"):
        return Text(str(value)[:10], style=Style(link=str(row["commit_url"])) if row.get("commit_url") else "")
    if name == "duration_ms":
        return Text("" if row.get("end_time", value) is None and not value else duration(int(str(value))))
    if name in ("p50_ms", "p95_ms", "max_ms"):
        return Text(duration(int(str(value))))
    if name == "success_rate":
        return Text(f"{float(str(value)):.0%}")
    if isinstance(value, str) and name.endswith(("_time", "_at", "timestamp")):
        return Text(printable(value) if absolute else age(value))
    return Text(printable(value if isinstance(value, str) else encode(value) if isinstance(value, (dict, list)) else str(value)))


def _metadata(card: Card, _width: int) -> Iterator[Part]:
    data = card.data
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    agents, jobs = data["agent_names"], data["job_types"]
    assert isinstance(agents, list) and isinstance(jobs, list)
    table.add_column(f"agents ({len(agents)})")
    table.add_column(f"job types ({len(jobs)})")
    for index in range(max(len(agents), len(jobs))):
        table.add_row(*(Text(printable(names[index]) if index < len(names) else "") for names in (agents, jobs)))
    yield table


def _status(card: Card, width: int) -> Iterator[Part]:
    data = card.data
    agents = data["agents"]
    assert isinstance(agents, dict)
    health = [f"{data['buffered']} waiting to be applied", f"{data['rejected']} rejected"] if data["buffered"] or data["rejected"] else ["all is well"]
    yield Text(f"{_counted(data['total_runs'], 'run')}, {data['recent_24h']} in the last 24 hours, {data['running']} running; {', '.join(health)}")
    if agents:
        yield Text(", ".join(f"{printable(agent)} {number}" for agent, number in sorted(agents.items(), key=lambda item: -item[1])[:_AGENTS]), style="dim")
    for heading, rows in card.beside.items():
        yield Text(f"\n{heading}", style="bold")
        yield from _tables(Listing("runs", (), rows), width)
    yield Text(f"\n{printable(str(data['db_path']))}", style="dim")


def _counted(number: object, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _run_tree(card: Card, width: int) -> Iterator[Part]:
    for line in _branches(card.data, "", ""):
        line.truncate(width, overflow="ellipsis")
        yield line


def _branches(run: Record, before: str, below: str) -> Iterator[Text]:
    """A run in a line and all below it, drawn by hand: rich leaves out without a word what does not fit the width."""
    yield Text(before, style="dim") + _leaf(run)
    children = run["children"]
    assert isinstance(children, list)
    guide = below if len(below) < _DEEPEST_GUIDE else below[:_DEEPEST_GUIDE]
    for child in children:
        last = child is children[-1]
        yield from _branches(child, guide + ("└── " if last else "├── "), guide + ("    " if last else "│   "))


def _leaf(run: Record) -> Text:
    """A run in a line: id, agent and job, status in words and colour, duration, and what went wrong."""
    event_id = str(run["event_id"])
    parts = [
        Text(printable(event_id[:8] if _is_random(event_id) else event_id), style="bold"),
        Text(printable(f"{run['agent_name']}/{run['job_type']}")),
        _cell("status", run, False),
        _cell("duration_ms", run, False),
        Text(printable(str(run["error_summary"] or "")), style="red"),
    ]
    return Text("  ").join(part for part in parts if part.plain)


def _run_card(card: Card, width: int) -> Iterator[Part]:
    run = card.data
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in run.items():
        if isinstance(value, list) or value in (None, "", {}, 0) or name in ("id", "schema_version", "op_id"):
            continue
        table.add_row(name, _cell(name, run, True) if name not in ("git_commit_hash", "duration_ms") else _full(name, value))
    yield table
    for view in ("events", "commits", "children"):
        rows = run[view]
        assert isinstance(rows, list)
        if rows:
            yield Text(f"\n{view}", style="bold")
            yield from _tables(Listing("runs" if view == "children" else view, (), map(_padded, rows), absolute=card.absolute), width)


def _full(name: str, value: object) -> Text:
    return Text(duration(int(str(value))) if name == "duration_ms" else str(value))


def _padded(row: Record) -> Record:
    return {"git_commit_hash": None, "git_branch": None, **row}


def duration(milliseconds: int) -> str:
    """A duration for people: `350 ms`, `4.2 s`, `3 m 07 s`, `2 h 05 m`, `3 d 04 h`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} m {int(seconds) % 60:02} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02} m" if hours < 48 else f"{hours // 24} d {hours % 24:02} h"


def age(stamp: str) -> str:
    """A time for people, relative to now: `12 s ago`, `in 3 m`; the stamp itself when it is no time."""
    try:
        seconds = int((datetime.now(UTC) - parse_stamp(stamp)).total_seconds())
    except (ValueError, TypeError):
        return printable(stamp)
    size = abs(seconds)
    amount, unit = next((size // factor, unit) for unit, factor in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if size >= factor or unit == "s")
    return f"{amount} {unit} ago" if seconds >= 0 else f"in {amount} {unit}"
