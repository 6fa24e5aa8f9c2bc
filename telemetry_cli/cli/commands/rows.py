"""Convert database rows to the JSON objects of the contract.

Apart from `result.py`, because help, usage errors and completion need no database.
"""

from telemetry_cli.cli.commands.result import Record
from telemetry_cli.database import runs
from telemetry_cli.database.database import read_json
from telemetry_cli.discovery.git import remotes

#: What json and csv carry of a run: its columns, and the addresses made from them.
RUN_COLUMNS = (*runs.COLUMNS, "commit_url", "repo_url")


def convert_run(row: Record, url_styles: dict[str, str]) -> Record:
    """A run: JSON columns as objects, the web addresses of commit and repository added. Raises `sqlite3.DatabaseError` where the row is damaged."""
    run = {name: row[name] for name in runs.COLUMNS}
    run["metrics_json"] = read_json(row["metrics_json"])
    run["context_json"] = read_json(row["context_json"])
    repo, sha = row["git_repo"], row["git_commit_hash"]
    run["commit_url"] = remotes.commit_url(
        str(repo) if repo else None, str(sha) if sha else None, url_styles
    )
    run["repo_url"] = remotes.repo_url(str(repo) if repo else None, url_styles)
    return run


def convert_event(row: Record) -> Record:
    """An event, its payload as JSON (null where it has none). Raises `sqlite3.DatabaseError` where the row is damaged."""
    payload = row["payload_json"]
    return {**row, "payload_json": read_json(payload) if payload is not None else None}


#: What csv carries of a feature row, before its values.
FEATURE_COLUMNS = (
    "row_id",
    "hook",
    "subject_id",
    "hook_run",
    "version",
    "digest",
    "source_ref",
    "created_at",
)


def convert_feature(row: Record) -> Record:
    """A feature row with the release behind it, its values as an object."""
    return {**{name: row[name] for name in FEATURE_COLUMNS}, "values": row["values"]}
