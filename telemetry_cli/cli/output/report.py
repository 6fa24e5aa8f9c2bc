"""The report of a defect: what a maintainer needs, in a private file; argv, environment and secrets stay out of it."""

import os
import platform
import sys
import tempfile
import traceback

from telemetry_cli import __version__
from telemetry_cli.redaction.redactor import Redactor


def write_report(error: Exception) -> str:
    """Write the report and return its path, or a word for why there is none."""
    lines = [
        f"telemetry {__version__}, Python {sys.version}, {platform.platform()}\n",
        *traceback.format_exception(error),
    ]
    try:
        descriptor, path = tempfile.mkstemp(prefix="telemetry-report-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(Redactor().text("".join(lines)))
    except OSError as trouble:
        return f"no file ({trouble.strerror}); set TELEMETRY_DEBUG=1 to see it"
    return path
