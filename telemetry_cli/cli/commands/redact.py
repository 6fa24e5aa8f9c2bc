"""`telemetry redact`: secrets in what is stored already."""

from telemetry_cli.cli.commands.result import Written
from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import InvalidInput
from telemetry_cli.maintenance.redact_stored.fix import by_rule, fix
from telemetry_cli.maintenance.redact_stored.scan import Finding, scan

_MOST_PLACES = 20


def redact(config: Config, output: str, *, scan_: bool, fix_: bool) -> Written:
    """Find secrets in everything that is stored, or take them out."""
    if scan_ == fix_:
        raise InvalidInput(
            "--scan, --fix: give one of them",
            "telemetry redact --scan changes nothing; --fix takes out what it finds.",
        )
    if scan_:
        found = list(scan(config))
        return Written(
            {"findings": found}, _listed("found", found), code=1 if found else 0, multiline=True
        )
    found, left, notes = fix(config)
    fixed = [finding for finding in found if not finding["is_name"] and finding not in left]
    lines = [_listed("taken out", fixed), *([_listed("left", left)] if left else [])]
    return Written(
        {"fixed": len(fixed), "left": left},
        "\n".join(lines),
        notes,
        code=1 if left else 0,
        multiline=True,
    )


def _listed(what: str, findings: list[Finding]) -> str:
    """The findings by kind, then place by place, as far as they fit a screen."""
    if not findings:
        return f"{what}: no secrets"
    kinds = [
        f"{what} {name}: {secrets} in {places} {'place' if places == 1 else 'places'}"
        for name, places, secrets in by_rule(findings)
    ]
    places = [
        f"  {finding['where']} {finding['place']}: {finding['rule']}{' in a name' if finding['is_name'] else ''}"
        for finding in findings[:_MOST_PLACES]
    ]
    more = (
        [f"  … {len(findings) - _MOST_PLACES} more; -o json lists them all"]
        if len(findings) > _MOST_PLACES
        else []
    )
    return "\n".join([*kinds, *places, *more])
