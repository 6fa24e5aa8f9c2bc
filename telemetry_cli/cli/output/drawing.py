"""Results as they are drawn for a person, whichever way suits them: tables, lines of a long history, a card."""

from collections.abc import Iterator

from telemetry_cli.cli.commands.result import Card, Listing
from telemetry_cli.cli.output import tables, views
from telemetry_cli.cli.output.console import console, drawn


def draw(result: Card | Listing) -> Iterator[str]:
    """The text of a result: tables for a listing, a card for a single thing."""
    screen = console(
        uncut=result.view in views.UNCUT_CARDS
        if isinstance(result, Card)
        else views.VIEWS[result.view].uncut
    )
    if isinstance(result, Listing) and views.VIEWS[result.view].is_long:
        from telemetry_cli.cli.output import long

        yield from long.draw(result, screen.width)
        return
    if isinstance(result, Listing):
        parts = tables.tables(result, screen.width)
    else:
        from telemetry_cli.cli.output import cards

        parts = cards.parts(result, screen.width)
    for part in parts:
        yield drawn(screen, part)
