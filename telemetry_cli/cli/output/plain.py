"""Write results as lines, JSON, JSON Lines, CSV and ids, without rich.

Only this module writes to stdout and stderr."""

import io
import json
import os
import sys
from collections.abc import Iterator

from telemetry_cli.cli.commands.result import (
    Card,
    Listing,
    Result,
    Streamed,
    Watched,
    Working,
    Written,
)
from telemetry_cli.cli.output.text import printable
from telemetry_cli.core.errors import OutputLost
from telemetry_cli.redaction.redactor import said


def prepare_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr was closed: the next file opened must not become one of them.

    What an encoding cannot say is escaped; it must not stop the rest.
    """
    for descriptor, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if isinstance(stream, io.TextIOWrapper) and descriptor:
            stream.reconfigure(errors="backslashreplace")
        if stream is None:
            found = os.open(os.devnull, os.O_RDWR)
            if found != descriptor:
                os.dup2(found, descriptor)
                os.close(found)


def flush_streams() -> None:
    """The last thing before the program leaves: `show` has seen to stdout, and stderr must not matter."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            if stream:
                stream.flush()
        except (OSError, ValueError):
            _silence(descriptor)


def say(text: str) -> None:
    """A line for a person, on stderr, without secrets. That nobody reads it must not matter."""
    try:
        print(printable(said(text), keep="\n"), file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        _silence(2)


def settle(result: Result | Working) -> Result:
    """Do the work that a result may stand for, showing how far it has come, and return what came of it."""
    if isinstance(result, Streamed) and result.write and result.finish:
        result = Working(
            "exporting",
            "runs",
            result.write(_LISTINGS[result.shape](result.listing)),
            result.finish,
        )
    if not isinstance(result, Working):
        return result
    from telemetry_cli.cli.output import progress

    progress.follow(result)
    return result.finish()


def show(result: Result, output: str) -> None:
    """Print a result on stdout. Raises `OutputLost` when it cannot get there."""
    if sys.stdout is None:
        raise OutputLost("stdout is closed")
    if isinstance(result, Watched):
        from telemetry_cli.cli.output import pager

        pager.follow(result)
    elif isinstance(result, Streamed):
        _write(_LISTINGS[result.shape](result.listing))
    elif isinstance(result, Written):
        _write(_written(result, output))
    elif sys.stdout.isatty():
        from telemetry_cli.cli.output import pager

        pager.through(_answer(result, output), _put)
        _put("")
    else:
        _write(_answer(result, output))


def _answer(result: Card | Listing, output: str) -> Iterator[str]:
    """An answer as text, made as it is printed."""
    if output == "table":
        from telemetry_cli.cli.output import drawing

        return drawing.draw(result)
    return (
        iter([_json(result.data) + "\n"]) if isinstance(result, Card) else _LISTINGS[output](result)
    )


def show_words(lines: list[str]) -> None:
    """Print completion candidates, `word` or `word<tab>meaning` each. A word that the encoding lacks is no candidate."""
    encoding = sys.stdout.encoding
    for line in lines:
        try:
            word = line.partition("\t")[0].encode(encoding)
        except UnicodeError:
            continue
        sys.stdout.buffer.write(word + line.encode(encoding, "replace")[len(word) :] + b"\n")
    sys.stdout.buffer.flush()


def _write(chunks: Iterator[str]) -> None:
    for chunk in chunks:
        _put(chunk)
    _put("")


def _put(chunk: str) -> None:
    """Write a chunk, an empty one to flush."""
    try:
        sys.stdout.write(chunk)
        if not chunk:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence(1)
        raise OutputLost("") from None
    except (OSError, ValueError) as error:
        _silence(1)
        raise OutputLost(
            f"stdout cannot be written: {getattr(error, 'strerror', None) or error}"
        ) from None


def _silence(descriptor: int) -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it once more as it exits."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, descriptor)
    os.close(devnull)


def _written(result: Written, output: str) -> Iterator[str]:
    if output == "json":
        yield _json(result.data) + "\n"
    elif output == "env":
        for name, value in result.exports.items():
            yield f"unset {name}\n" if value is None else f"export {name}={_quoted(value)}\n"
    elif result.line is not None:
        yield printable(result.line, keep="\n\t" if result.multiline else "") + "\n"


def _quoted(value: str) -> str:
    """A value as one word of any POSIX shell."""
    return "'" + value.replace("'", "'\\''") + "'"


def _json(value: object) -> str:
    # ASCII, so that neither a terminal nor an encoding can be upset by what came from outside; DEL is not covered by that.
    return json.dumps(value).replace("\x7f", "\\u007f")


def _json_array(listing: Listing) -> Iterator[str]:
    yield "["
    for index, row in enumerate(listing.rows):
        yield (",\n" if index else "") + _json(row)
    yield "]\n"


def _json_lines(listing: Listing) -> Iterator[str]:
    for row in listing.rows:
        yield _json(row) + "\n"


def _ids(listing: Listing) -> Iterator[str]:
    for row in listing.rows:
        yield printable(str(row["event_id"])) + "\n"


def _csv(listing: Listing) -> Iterator[str]:
    import csv

    from telemetry_cli.core.csv_text import neutralise

    def cell(value: object) -> object:
        text = _json(value) if isinstance(value, (dict, list)) else value
        return neutralise(text) if isinstance(text, str) else text

    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(map(neutralise, listing.columns))
    for row in listing.rows:
        writer.writerow([cell(row[name]) for name in listing.columns])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


_LISTINGS = {"json": _json_array, "jsonl": _json_lines, "csv": _csv, "ids": _ids}
