"""Runs the installed program in this process and prints its SQL statements on stderr, one json string per line.

Usage: traced.py ARGUMENTS OF telemetry. A script, not a module of the package: it must find telemetry where it is installed.
"""

import json
import sqlite3
import sys

_connect = sqlite3.connect


def _traced(*arguments: object, **options: object) -> sqlite3.Connection:
    db = _connect(*arguments, **options)  # type: ignore[call-overload]
    db.set_trace_callback(
        lambda statement: sys.stderr.write(json.dumps(" ".join(statement.split())) + "\n")
    )
    return db  # type: ignore[no-any-return]


if __name__ == "__main__":
    sqlite3.connect = _traced  # type: ignore[assignment]
    from telemetry_cli.cli.main import main

    sys.exit(main())
