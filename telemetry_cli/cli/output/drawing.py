"""Draw a result with rich: a listing as tables or lines, a single thing as a card."""

from collections.abc import Iterator

from telemetry_cli.cli.commands.result import Card, Listing
from telemetry_cli.cli.output import views
from telemetry_cli.cli.output.cells import console, drawn
from telemetry_cli.cli.output.tables import draw_long, draw_tables


def draw(result: Card | Listing) -> Iterator[str]:
    """Yield the text of a result in pieces, for the width and the colours of the terminal."""
    if isinstance(result, Card):
        # Imported here, because no listing needs rich's trees and panels.
        from telemetry_cli.cli.output import cards

        screen = console(uncut=result.view in views.UNCUT_CARDS)
        parts = cards.parts(result, screen.width)
    else:
        view = views.VIEWS[result.view]
        screen = console(uncut=view.uncut)
        if view.is_long:
            yield from draw_long(result, screen.width)
            return
        parts = draw_tables(result, screen.width)
    for part in parts:
        yield drawn(screen, part)
