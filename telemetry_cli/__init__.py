"""A flight recorder for agents and CI jobs, over a local SQLite file.

`TelemetryClient` and `track_run` are the Python client; nothing is imported before one of them is asked for.
"""

__version__ = "0.1.0"
__all__ = ["RunContext", "TelemetryClient", "__version__", "track_run"]

# What type checkers see: to them this name is always true, and at run time it is not worth importing `typing` for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from telemetry_cli.client.api import TelemetryClient, track_run
    from telemetry_cli.client.tracking import RunContext


def __getattr__(name: str) -> object:
    """Import the client when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "tracking" if name == "RunContext" else "api"
    found = getattr(__import__(f"{__name__}.client.{module}", fromlist=[name]), name)
    globals()[name] = found
    return found
