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
CREATE TABLE journal_cursor (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    journal_id TEXT NOT NULL,
    segment TEXT NOT NULL,
    offset INTEGER NOT NULL CHECK (offset >= 0),
    crc TEXT NOT NULL
) STRICT;
CREATE TABLE legacy_values (
    id INTEGER PRIMARY KEY,
    event_id TEXT REFERENCES agent_runs (event_id), -- null where there is no such run
    "column" TEXT NOT NULL,
    value ANY NOT NULL
) STRICT;
CREATE TABLE op_results (
    op_id TEXT PRIMARY KEY,
    exit_code INTEGER NOT NULL,
    result_json TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rejected_ops (
    id INTEGER PRIMARY KEY,
    op_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    code INTEGER NOT NULL,
    message TEXT NOT NULL,
    operation TEXT NOT NULL
) STRICT;
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
CREATE VIRTUAL TABLE runs_search USING fts5 (
    agent_name, job_type, product, item_name, input_summary, output_summary, error_summary, error_details,
    content = 'agent_runs', content_rowid = 'id', columnsize = 0, detail = none
);
CREATE TABLE 'runs_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE 'runs_search_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'runs_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE schema_migrations (
    version INTEGER PRIMARY KEY,
    applied_at TEXT NOT NULL,
    description TEXT NOT NULL
) STRICT;
CREATE INDEX agent_runs_agent_name ON agent_runs (agent_name, created_at);
CREATE INDEX agent_runs_created_at ON agent_runs (created_at);
CREATE INDEX agent_runs_git_branch ON agent_runs (git_branch, created_at) WHERE git_branch IS NOT NULL;
CREATE INDEX agent_runs_git_commit_hash ON agent_runs (git_commit_hash) WHERE git_commit_hash IS NOT NULL;
CREATE INDEX agent_runs_git_repo ON agent_runs (git_repo, created_at) WHERE git_repo IS NOT NULL;
CREATE INDEX agent_runs_job_type ON agent_runs (job_type, created_at);
CREATE INDEX agent_runs_parent_run_id ON agent_runs (parent_run_id) WHERE parent_run_id IS NOT NULL;
CREATE INDEX agent_runs_product ON agent_runs (product, created_at) WHERE product IS NOT NULL;
CREATE INDEX agent_runs_run_id ON agent_runs (run_id, start_time);
CREATE INDEX agent_runs_start_time ON agent_runs (start_time);
CREATE INDEX agent_runs_status ON agent_runs (status, created_at);
CREATE INDEX legacy_values_event_id ON legacy_values (event_id);
CREATE INDEX run_commits_commit_hash ON run_commits (commit_hash);
CREATE INDEX run_commits_event_id ON run_commits (event_id);
CREATE INDEX run_events_event_id ON run_events (event_id, timestamp);
