"""Single things: a run with all that is known of it, a tree of runs, what is going on, what there is to ask for."""

from collections.abc import Callable, Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from telemetry_cli.cli.commands.result import Card, Listing, Record
from telemetry_cli.cli.output import cells, views
from telemetry_cli.cli.output.cells import Part, can_say, cut_mark
from telemetry_cli.cli.output.tables import cut, draw_tables
from telemetry_cli.cli.output.text import printable
from telemetry_cli.core.values import encode

#: What is asked first of a run; the rest follows in the order of the data model.
_FIRST = (
    "event_id",
    "run_id",
    "agent_name",
    "job_type",
    "status",
    "start_time",
    "end_time",
    "duration_ms",
    "error_summary",
)
_UNSAID = ("id", "schema_version", "op_id", "boot_id")
_LAST_EVENTS = 20
#: What the children on a card are not asked for.
_ABSENT: Record = {"git_commit_hash": None, "git_branch": None}
_AGENTS, _LONGEST_AGENT = 12, 40
#: How many columns the lines of a tree may take; what is deeper stands at the same place.
_DEEPEST_GUIDE = 32


def parts(card: Card, width: int) -> Iterator[Part]:
    """What a card is made of."""
    return _CARDS[card.view](card, width)


def _run(card: Card, width: int) -> Iterator[Part]:
    run = card.data
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    look = cells.Look(absolute=True)
    for name in (*_FIRST, *(name for name in run if name not in _FIRST and name not in _UNSAID)):
        value = run[name]
        if isinstance(value, list) or (
            value in (None, "", {}, 0) and (name, run["status"]) != ("duration_ms", "running")
        ):
            continue
        kind = cells.TEXT if name == "git_commit_hash" else views.kind_of(name)
        table.add_row(name, cells.cell(kind, value, run, look))
    yield table
    yield from _lists(card, width)


def _lists(card: Card, width: int) -> Iterator[Part]:
    """The events, commits and children of a run and the rows about it, each under its heading; of many events the last."""
    for part in ("events", "commits", "children", "features"):
        rows = card.data[part]
        assert isinstance(rows, list)
        if not rows:
            continue
        is_long = part == "events" and len(rows) > _LAST_EVENTS
        heading = (
            f"{part} ({len(rows)}, the last {_LAST_EVENTS}; all: telemetry run events)"
            if is_long
            else part
        )
        # Whose they are is said above; only children are others.
        shown = (
            {**_ABSENT, **row, "event_id": row["event_id"] if part == "children" else None}
            for row in rows[-_LAST_EVENTS if is_long else 0 :]
        )
        own = ("hook", "values") if part == "features" else ()
        yield Text(f"\n{heading}", style="bold")
        yield from draw_tables(
            Listing(
                "runs" if part == "children" else part,
                (),
                shown,
                absolute=card.absolute,
                prefixes=card.prefixes,
                own=own,
            ),
            width,
        )


def _tree(card: Card, width: int) -> Iterator[Part]:
    look = cells.Look(
        prefixes=card.prefixes([str(event_id) for event_id in _ids(card.data)]), mark=cut_mark()
    )
    guides = ("├── ", "└── ", "│   ") if can_say("├└│─") else ("|-- ", "`-- ", "|   ")
    for line in _branches(card.data, "", "", guides, look):
        yield cut(line, width, look.mark)


def _ids(run: Record) -> Iterator[object]:
    yield run["event_id"]
    for child in _children(run):
        yield from _ids(child)


def _children(run: Record) -> list[Record]:
    children = run["children"]
    assert isinstance(children, list)
    return children


def _branches(
    run: Record, before: str, below: str, guides: tuple[str, str, str], look: cells.Look
) -> Iterator[Text]:
    """A run in a line and all below it, drawn by hand: rich leaves out without a word what does not fit the width."""
    yield Text(before, style="dim") + _leaf(run, look)
    children = _children(run)
    beside, last, past = guides
    guide = below[:_DEEPEST_GUIDE]
    for child in children:
        is_last = child is children[-1]
        yield from _branches(
            child,
            guide + (last if is_last else beside),
            guide + ("    " if is_last else past),
            guides,
            look,
        )


def _leaf(run: Record, look: cells.Look) -> Text:
    """A run in a line: id, agent and job, status in words and colour, duration, and what went wrong."""
    found = [
        cells.cell(cells.EVENT_ID, run["event_id"], run, look),
        Text(printable(f"{run['agent_name']}/{run['job_type']}")),
        cells.cell(cells.STATUS, run["status"], run, look),
        cells.cell(cells.DURATION, run["duration_ms"], run, look),
        Text(printable(str(run["error_summary"] or "")), style="red"),
    ]
    found[0].stylize("bold")
    return Text("  ").join(part for part in found if part.plain)


def _status(card: Card, width: int) -> Iterator[Part]:
    data = card.data
    agents = data["agents"]
    assert isinstance(agents, dict)
    health = (
        [f"{data['buffered']} waiting to be applied", f"{data['rejected']} rejected"]
        if data["buffered"] or data["rejected"]
        else ["all is well"]
    )
    yield Text(
        f"{_counted(data['total_runs'], 'run')}, {data['recent_24h']} in the last 24 hours, {data['running']} running; {', '.join(health)}"
    )
    if agents:
        most = sorted(agents.items(), key=lambda item: -item[1])[:_AGENTS]
        yield Text(
            ", ".join(
                f"{cut(Text(printable(agent)), _LONGEST_AGENT, cut_mark())} {number}"
                for agent, number in most
            ),
            style="dim",
        )
    for heading, rows in card.beside.items():
        yield Text(f"\n{heading}", style="bold")
        yield from draw_tables(Listing("runs", (), rows, prefixes=card.prefixes), width)
    yield Text(f"\n{printable(str(data['db_path']))}", style="dim")


def _counted(number: object, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _metadata(card: Card, _width: int) -> Iterator[Part]:
    agents, jobs = card.data["agent_names"], card.data["job_types"]
    assert isinstance(agents, list)
    assert isinstance(jobs, list)
    if not agents:
        yield Text(views.VIEWS["runs"].nothing)
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    table.add_column(f"agents ({len(agents)})")
    table.add_column(f"job types ({len(jobs)})")
    for index in range(max(len(agents), len(jobs))):
        table.add_row(
            *(
                Text(printable(names[index]) if index < len(names) else "")
                for names in (agents, jobs)
            )
        )
    yield table


def _commit(card: Card, _width: int) -> Iterator[Part]:
    """Why a commit has a run or none, in sentences; and the runs."""
    data = card.data
    yield Text(printable(f"{data['commit_hash']}: {data['reason']}"), style="bold")
    yield Text(printable(str(data["explanation"])))
    runs = data["runs"]
    assert isinstance(runs, list)
    for run in runs:
        yield Text(
            printable(
                f"  {run['event_id']}  {run['agent_name']}/{run['job_type']}  {run['role']}, {run['source']}"
            )
        )
    if data["advice"]:
        yield Text(printable(str(data["advice"])))


def _executed(card: Card, width: int) -> Iterator[Part]:
    """Hook runs, and what broke their contracts."""
    rows = card.data["hook_runs"]
    assert isinstance(rows, list)
    yield from draw_tables(Listing("hook_runs", (), rows), width)
    mismatches = [
        {"hook": row["hook"], **mismatch} for row in rows for mismatch in row["mismatches"]
    ]
    if mismatches:
        yield Text(f"\nmismatches ({sum(row['mismatch_count'] for row in rows)})", style="bold")
        yield from draw_tables(Listing("mismatches", (), mismatches), width)


def _fields(card: Card, _width: int) -> Iterator[Part]:
    """Every field with its value, those of an object below its name."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in card.data.items():
        nested = name in _NESTED and isinstance(value, dict)
        if nested:
            table.add_row(Text(f"\n{name}"), Text(""))
        for field, content in (
            value.items() if nested and isinstance(value, dict) else [(name, value)]
        ):
            if content not in (None, "", {}, []):
                table.add_row(
                    Text(("  " if nested else "") + field),
                    Text(
                        printable(
                            content if isinstance(content, str) else encode(content), keep="\n"
                        )
                    ),
                )
    yield table


#: Objects in a card whose fields stand in lines of their own.
_NESTED = ("run", "release")
_CARDS: dict[str, Callable[[Card, int], Iterator[Part]]] = {
    "run": _run,
    "tree": _tree,
    "status": _status,
    "metadata": _metadata,
    "commit": _commit,
    "executed": _executed,
    "release": _fields,
    "provenance": _fields,
    "convention": _fields,
}
