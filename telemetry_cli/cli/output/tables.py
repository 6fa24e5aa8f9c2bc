"""Draw listings as tables that fit the terminal: with rich, or line by line for a history."""

from collections.abc import Iterator, Sequence
from itertools import islice

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.table import Table
from rich.text import Text

from telemetry_cli.cli.commands.result import Listing
from telemetry_cli.cli.output import cells, views
from telemetry_cli.cli.output.cells import Part, can_say, cut_mark
from telemetry_cli.cli.output.text import printable
from telemetry_cli.cli.output.views import Column

GAP = 3
#: Rows that are drawn at once.
PAGE = 1000


class Layout:
    """The columns of a listing that fit, and their widths; `kept` are their places among all of them.

    `widths` is what each column would like to have; `leaves` are the fields that may be left out, the first one first.
    """

    def __init__(
        self, columns: Sequence[Column], widths: Sequence[int], width: int, leaves: Sequence[str]
    ) -> None:
        kept = list(range(len(columns)))
        leaving = [
            index
            for field in leaves
            for index, column in enumerate(columns)
            if column.field == field
        ]
        while (
            leaving
            and sum(_comfortable(columns[index], widths[index]) for index in kept)
            + GAP * (len(kept) - 1)
            > width
        ):
            kept.remove(leaving.pop(0))
        self.kept = kept
        self.columns = [columns[index] for index in kept]
        self.widths = [widths[index] for index in kept]
        _fit(
            self.widths,
            [column.kind.least for column in self.columns],
            width - GAP * (len(kept) - 1),
        )

    def table(
        self, rows: list[list[Text]], marks: list[bool], mark: str, *, with_header: bool
    ) -> Table:
        """One page; rows with a mark stand out, `mark` ends what is cut."""
        table = Table(
            box=SIMPLE_HEAD,
            show_header=with_header,
            show_edge=False,
            pad_edge=False,
            header_style="bold",
        )
        for column, width in zip(self.columns, self.widths, strict=True):
            table.add_column(
                cut(Text(printable(column.heading)), width, mark),
                justify="right" if column.kind.right else "left",
                overflow="fold",
                no_wrap=not column.kind.wraps,
                width=width,
            )
        for row, stands_out in zip(rows, marks, strict=True):
            fitted = [
                text if column.kind.wraps else cut(text, width, mark)
                for text, column, width in zip(row, self.columns, self.widths, strict=True)
            ]
            table.add_row(*fitted, style="reverse" if stands_out else None)
        return table


def cut(text: Text, width: int, mark: str) -> Text:
    """The text, what is beyond the width replaced by a mark."""
    if text.cell_len > width:
        text.truncate(max(0, width - len(mark)))
        text.append(mark[:width])
    return text


def _comfortable(column: Column, width: int) -> int:
    """How much room a column should have before others are left out for it."""
    kind = column.kind
    return width if kind.least is None else min(width, max(kind.least, kind.comfort))


def _fit(widths: list[int], leasts: list[int | None], room: int) -> None:
    """Make the columns fit: text gives way, the widest first; below its least, and then everything else, only when nothing helps."""
    asked = [width if least is None else least for least, width in zip(leasts, widths, strict=True)]
    any_text = [width if least is None else 1 for least, width in zip(leasts, widths, strict=True)]
    for bounds in (asked, any_text, [1] * len(widths)):
        while sum(widths) > room:
            candidates = [index for index, width in enumerate(widths) if width > bounds[index]]
            if not candidates:
                break
            widths[max(candidates, key=widths.__getitem__)] -= 1


def draw_tables(listing: Listing, width: int) -> Iterator[Part]:
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


def draw_long(listing: Listing, width: int) -> Iterator[str]:
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
