"""A table as long as a history, a line to a row: rich takes longer to draw one than git takes to list it."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rich.cells import cell_len, set_cell_size

from telemetry_cli.cli.commands.result import Listing
from telemetry_cli.cli.output import views
from telemetry_cli.cli.output.console import can_say, cut_mark
from telemetry_cli.cli.output.layout import GAP, PAGE, Layout
from telemetry_cli.cli.output.text import printable


def draw(listing: Listing, width: int) -> Iterator[str]:
    """The listing as text, a page at a time; the first page settles the columns."""
    rows = iter(listing.rows)
    view = views.VIEWS[listing.view]
    mark = cut_mark()
    layout = None
    while page := list(islice(rows, PAGE)):
        columns = layout.columns if layout else views.columns(listing, page)
        look = views.look(listing, columns, page, mark)
        shown = [
            [
                ""
                if row[column.field] is None
                else printable(column.kind.text(row[column.field], row, look))
                for column in columns
            ]
            for row in page
        ]
        if layout is None:
            widths = [
                max(len(column.heading), *(_wide(row[index]) for row in shown))
                for index, column in enumerate(columns)
            ]
            layout = Layout(columns, widths, width, view.leaves)
            shown = [[row[index] for index in layout.kept] for row in shown]
            rule = "─" if can_say("─") else "-"
            yield _line([column.heading for column in layout.columns], layout, mark)
            yield rule * min(width, sum(layout.widths) + GAP * (len(layout.widths) - 1)) + "\n"
        yield "".join(_line(row, layout, mark) for row in shown)
    if layout is None:
        yield f"{view.nothing}\n"
    elif listing.summary:
        yield f"\n{listing.summary()}\n"


def _line(texts: Sequence[str], layout: Layout, mark: str) -> str:
    fitted = []
    for text, width, column in zip(texts, layout.widths, layout.columns, strict=True):
        cut = (
            text if _wide(text) <= width else set_cell_size(text, width - len(mark)).rstrip() + mark
        )
        padding = " " * max(0, width - _wide(cut))
        fitted.append(padding + cut if column.kind.right else cut + padding)
    return (" " * GAP).join(fitted).rstrip() + "\n"


def _wide(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)
