"""Which process carries a hook run, and whether it still does."""

import os

from telemetry_cli.core import processes


def identity() -> dict[str, object]:
    """What tells this process from any other: host, pid, process_started, boot_id."""
    unknown = {"process_started": "", "boot_id": ""}
    return {"host": os.uname().nodename, **unknown, **processes.identify_self()}


def is_gone(recorded: dict[str, object]) -> bool:
    """Tell whether a process of which `identity` was recorded has ended. Of another host's nobody can tell: it has not."""
    if recorded["host"] != os.uname().nodename:
        return False
    return (
        processes.is_alive(
            int(str(recorded["pid"])),
            str(recorded["process_started"]) or None,
            str(recorded["boot_id"]) or None,
        )
        is False
    )
