"""Results as rich tables, fitted to the terminal. Everything from outside is made printable and never read as markup."""

from collections.abc import Iterator
from itertools import islice

from rich.table import Table
from rich.text import Text

from telemetry_cli.commands.result import Card, Listing
from telemetry_cli.render import cells, views
from telemetry_cli.render.console import can_say, console, drawn
from telemetry_cli.render.layout import Layout

Part = Table | Text

PAGE = 1000


def draw(result: Card | Listing) -> Iterator[str]:
    """The text of a result: tables for a listing, a card for a single thing."""
    screen = console(uncut=result.view in views.UNCUT_CARDS if isinstance(result, Card) else views.VIEWS[result.view].uncut)
    if isinstance(result, Listing) and views.VIEWS[result.view].is_long:
        from telemetry_cli.render import long

        yield from long.draw(result, screen.width)
        return
    if isinstance(result, Listing):
        parts = tables(result, screen.width)
    else:
        from telemetry_cli.render import cards

        parts = cards.parts(result, screen.width)
    for part in parts:
        yield drawn(screen, part)


def tables(listing: Listing, width: int) -> Iterator[Part]:
    """A listing, one table to a page of rows, so that memory does not grow with it; the first page settles the columns."""
    rows = iter(listing.rows)
    view = views.VIEWS[listing.view]
    mark = cut_mark()
    layout = None
    while page := list(islice(rows, PAGE)):
        is_first = layout is None
        columns = layout.columns if layout else [column for column in views.columns(listing, page) if not column.kind.drawn or can_say("▁█▏·")]
        look = views.look(listing, columns, page, mark)
        shown = [[cells.cell(column.kind, row[column.field], row, look) for column in columns] for row in page]
        if layout is None:
            widths = [max(len(column.heading), *(row[index].cell_len for row in shown)) for index, column in enumerate(columns)]
            layout = Layout(columns, widths, width, () if listing.chosen else view.leaves)
            shown = [[row[index] for index in layout.kept] for row in shown]
        marks = [row.get("event_id") in listing.marked for row in page]
        yield layout.table(shown, marks, mark, with_header=is_first)
    if layout is None:
        yield Text(view.nothing)


def cut_mark() -> str:
    """What ends a text that is cut."""
    return "…" if can_say("…") else "~"
