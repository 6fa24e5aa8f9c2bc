"""Columns fitted to a width: some leave, text is cut with its end marked, figures and ids are never cut."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

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
