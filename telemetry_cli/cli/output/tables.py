"""A listing as rich tables, fitted to the terminal. Everything from outside is made printable and never read as markup."""

from collections.abc import Iterator
from itertools import islice

from rich.text import Text

from telemetry_cli.cli.commands.result import Listing
from telemetry_cli.cli.output import cells, views
from telemetry_cli.cli.output.console import Part, can_say, cut_mark
from telemetry_cli.cli.output.layout import PAGE, Layout


def tables(listing: Listing, width: int) -> Iterator[Part]:
    """A listing, one table to a page of rows, so that memory does not grow with it; the first page settles the columns."""
    rows = iter(listing.rows)
    view = views.VIEWS[listing.view]
    mark = cut_mark()
    layout = None
    while page := list(islice(rows, PAGE)):
        is_first = layout is None
        columns = (
            layout.columns
            if layout
            else [
                column
                for column in views.columns(listing, page)
                if not column.kind.drawn or can_say("▁█▏·")
            ]
        )
        look = views.look(listing, columns, page, mark)
        shown = [
            [cells.cell(column.kind, row[column.field], row, look) for column in columns]
            for row in page
        ]
        if layout is None:
            widths = [
                max(len(column.heading), *(row[index].cell_len for row in shown))
                for index, column in enumerate(columns)
            ]
            layout = Layout(columns, widths, width, () if listing.chosen else view.leaves)
            shown = [[row[index] for index in layout.kept] for row in shown]
        marks = [row.get("event_id") in listing.marked for row in page]
        yield layout.table(shown, marks, mark, with_header=is_first)
    if layout is None:
        yield Text(view.nothing)
