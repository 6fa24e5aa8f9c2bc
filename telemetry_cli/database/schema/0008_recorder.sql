-- Version 8: the first schema of this program. Versions 1 to 7 belong to the platform whose databases it adopts;
-- their column names are kept, so that existing queries and tools go on working.
--
-- Every rule that can stand here stands here, and not only in Python. Times are UTC, ISO 8601, with milliseconds and Z,
-- so that they sort as text. JSON is checked before it gets here: SQLite 3.40 calls json_valid() unsafe in a schema that is
-- not trusted.

-- One row per run. event_id is the idempotency key; run_id is a name for people and need not be unique.
CREATE TABLE agent_runs (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE CHECK (length(event_id) BETWEEN 1 AND 200),
    run_id TEXT NOT NULL CHECK (length(run_id) BETWEEN 1 AND 255),
    schema_version INTEGER NOT NULL,
    op_id TEXT NOT NULL,
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    updated_at TEXT NOT NULL CHECK (updated_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z' AND updated_at >= created_at),
    start_time TEXT NOT NULL CHECK (start_time GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    end_time TEXT CHECK (end_time GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z' AND end_time >= start_time),
    agent_name TEXT NOT NULL CHECK (length(agent_name) BETWEEN 1 AND 200),
    job_type TEXT NOT NULL CHECK (length(job_type) BETWEEN 1 AND 200),
    status TEXT NOT NULL CHECK (status IN ('running', 'success', 'failure', 'partial', 'timeout', 'cancelled')),
    agent_owner TEXT,
    product TEXT,
    product_family TEXT,
    platform TEXT,
    subdomain TEXT,
    website TEXT,
    website_section TEXT,
    item_name TEXT,
    environment TEXT,
    host TEXT,
    trigger_type TEXT,
    insight_id TEXT,
    source_ref TEXT,
    target_ref TEXT,
    input_summary TEXT,
    output_summary TEXT,
    error_summary TEXT,
    error_details TEXT CHECK (length(CAST(error_details AS BLOB)) <= 65536),
    items_discovered INTEGER NOT NULL DEFAULT 0 CHECK (items_discovered >= 0),
    items_succeeded INTEGER NOT NULL DEFAULT 0 CHECK (items_succeeded >= 0),
    items_failed INTEGER NOT NULL DEFAULT 0 CHECK (items_failed >= 0),
    items_skipped INTEGER NOT NULL DEFAULT 0 CHECK (items_skipped >= 0),
    duration_ms INTEGER NOT NULL DEFAULT 0 CHECK (duration_ms >= 0),
    git_repo TEXT,
    git_branch TEXT,
    git_run_tag TEXT,
    git_dir TEXT,
    git_commit_hash TEXT CHECK ((length(git_commit_hash) BETWEEN 7 AND 40 OR length(git_commit_hash) = 64) AND git_commit_hash NOT GLOB '*[^0-9a-f]*'),
    git_commit_source TEXT CHECK (git_commit_source IN ('manual', 'llm', 'ci')),
    git_commit_author TEXT,
    git_commit_timestamp TEXT CHECK (git_commit_timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    metrics_json TEXT NOT NULL DEFAULT '{}' CHECK (metrics_json GLOB '{*}'),
    context_json TEXT NOT NULL DEFAULT '{}' CHECK (context_json GLOB '{*}'),
    parent_run_id TEXT,
    pid INTEGER,
    process_started TEXT,
    boot_id TEXT,
    api_posted INTEGER NOT NULL DEFAULT 0,
    api_posted_at TEXT,
    api_retry_count INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A run by its name, newest first: RUN as a run_id.
CREATE INDEX agent_runs_run_id ON agent_runs (run_id, start_time);
-- The newest runs, --since and --until; the row's id breaks ties.
CREATE INDEX agent_runs_created_at ON agent_runs (created_at);
-- @last, and --start-time-from and --start-time-to.
CREATE INDEX agent_runs_start_time ON agent_runs (start_time);
-- --agent-name, alone or with --since.
CREATE INDEX agent_runs_agent_name ON agent_runs (agent_name, created_at);
-- --job-type, alone or with --since.
CREATE INDEX agent_runs_job_type ON agent_runs (job_type, created_at);
-- --status, alone or with --since; what is running.
CREATE INDEX agent_runs_status ON agent_runs (status, created_at);
-- The filters on columns that are mostly null.
CREATE INDEX agent_runs_product ON agent_runs (product, created_at) WHERE product IS NOT NULL;
CREATE INDEX agent_runs_git_repo ON agent_runs (git_repo, created_at) WHERE git_repo IS NOT NULL;
CREATE INDEX agent_runs_git_branch ON agent_runs (git_branch, created_at) WHERE git_branch IS NOT NULL;
-- The children of a run: --parent, `associate-commit --children`.
CREATE INDEX agent_runs_parent_run_id ON agent_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
-- The runs behind a commit: --commit.
CREATE INDEX agent_runs_git_commit_hash ON agent_runs (git_commit_hash) WHERE git_commit_hash IS NOT NULL;

-- What happened during a run, append-only.
CREATE TABLE run_events (
    id INTEGER PRIMARY KEY,
    event_id TEXT REFERENCES agent_runs (event_id), -- the run; null where the run of a legacy event is gone
    run_id TEXT NOT NULL,
    event_type TEXT NOT NULL CHECK (length(event_type) BETWEEN 1 AND 200),
    timestamp TEXT NOT NULL CHECK (timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    payload_json TEXT,
    trace_id TEXT,
    span_id TEXT,
    parent_span_id TEXT,
    op_id TEXT NOT NULL
) STRICT;

-- The events of a run, oldest first.
CREATE INDEX run_events_event_id ON run_events (event_id, timestamp);

-- The ledger: every association of a run with a commit, append-only.
CREATE TABLE run_commits (
    id INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL REFERENCES agent_runs (event_id),
    commit_hash TEXT NOT NULL CHECK ((length(commit_hash) BETWEEN 7 AND 40 OR length(commit_hash) = 64) AND commit_hash NOT GLOB '*[^0-9a-f]*'),
    role TEXT NOT NULL CHECK (role IN ('produced', 'base', 'released')),
    source TEXT NOT NULL CHECK (source IN ('manual', 'llm', 'ci')),
    author TEXT,
    timestamp TEXT CHECK (timestamp GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    repo TEXT,
    branch TEXT,
    associated_at TEXT NOT NULL CHECK (associated_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    superseded_by TEXT,
    op_id TEXT NOT NULL
) STRICT;

-- The commits of a run.
CREATE INDEX run_commits_event_id ON run_commits (event_id);
-- The runs of a commit.
CREATE INDEX run_commits_commit_hash ON run_commits (commit_hash);

-- How far the journal has been applied. It lives here so that it is restored with the tables it speaks of.
CREATE TABLE journal_cursor (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    journal_id TEXT NOT NULL,
    segment TEXT NOT NULL,
    offset INTEGER NOT NULL CHECK (offset >= 0),
    crc TEXT NOT NULL
) STRICT;

-- What became of each operation: its exit code, and what its command prints.
CREATE TABLE op_results (
    op_id TEXT PRIMARY KEY,
    exit_code INTEGER NOT NULL,
    result_json TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Operations that broke a rule, and journal lines that could not be read; nothing is dropped unseen.
CREATE TABLE rejected_ops (
    id INTEGER PRIMARY KEY,
    op_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    code INTEGER NOT NULL,
    message TEXT NOT NULL,
    operation TEXT NOT NULL
) STRICT;

-- Which schema versions this database has been through.
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    applied_at TEXT NOT NULL,
    description TEXT NOT NULL
) STRICT;

-- Words of a run's names, summaries and errors: --search. It keeps no text of its own, which the rows have, and no
-- positions, which no question asks for.
CREATE VIRTUAL TABLE runs_search USING fts5 (
    agent_name, job_type, product, item_name, input_summary, output_summary, error_summary, error_details,
    content = 'agent_runs', content_rowid = 'id', columnsize = 0, detail = none
);
