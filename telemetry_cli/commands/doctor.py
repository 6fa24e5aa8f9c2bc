"""Whether all is well: doctor."""

from telemetry_cli import checkup
from telemetry_cli.checkup.finding import COLUMNS, PROBLEM
from telemetry_cli.commands.result import READS, Listing, handler
from telemetry_cli.config import Config


@handler(*READS)
def doctor(config: Config, output: str) -> Listing:
    """What is wrong or worth knowing, each with what to do."""
    findings = checkup.examine(config)
    code = 1 if any(finding.severity == PROBLEM for finding in findings) else 0
    return Listing("findings", COLUMNS, [finding.row() for finding in findings], code=code)
