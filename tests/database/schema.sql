CREATE TRIGGER features_are_added BEFORE INSERT ON features
WHEN EXISTS (SELECT 1 FROM features WHERE row_id = NEW.row_id) OR NEW.superseded_by IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM hook_runs WHERE id = NEW.hook_run AND hook = NEW.hook AND status = 'running')
BEGIN SELECT RAISE(ABORT, 'a feature row comes with the end of its hook run, and none is replaced'); END;
CREATE TRIGGER features_are_superseded_once BEFORE UPDATE ON features
WHEN OLD.superseded_by IS NOT NULL OR NEW.superseded_by IS NEW.hook_run OR NEW.row_id IS NOT OLD.row_id OR NEW.hook IS NOT OLD.hook OR NEW.subject_id IS NOT OLD.subject_id
    OR NEW.hook_run IS NOT OLD.hook_run OR NEW."values" IS NOT OLD."values"
BEGIN SELECT RAISE(ABORT, 'of a feature row only superseded_by is set, once'); END;
CREATE TRIGGER features_stay BEFORE DELETE ON features
WHEN EXISTS (SELECT 1 FROM agent_runs WHERE event_id = OLD.subject_id) OR EXISTS (SELECT 1 FROM hook_runs WHERE id = OLD.hook_run AND input_kind <> 'runs')
BEGIN SELECT RAISE(ABORT, 'a feature row stays as long as the run that it is about'); END;
CREATE TRIGGER hook_logs_are_added BEFORE INSERT ON hook_logs
WHEN EXISTS (SELECT 1 FROM hook_logs WHERE hook_run = NEW.hook_run AND attempt = NEW.attempt)
BEGIN SELECT RAISE(ABORT, 'a log is not replaced'); END;
CREATE TRIGGER hook_logs_never_change BEFORE UPDATE ON hook_logs
BEGIN SELECT RAISE(ABORT, 'a log never changes'); END;
CREATE TRIGGER hook_logs_stay BEFORE DELETE ON hook_logs
BEGIN SELECT RAISE(ABORT, 'a log never changes'); END;
CREATE TRIGGER hook_pointer_log_is_added_to BEFORE INSERT ON hook_pointer_log
WHEN NEW.move IS NOT (SELECT coalesce(max(move), 0) + 1 FROM hook_pointer_log WHERE hook = NEW.hook)
BEGIN SELECT RAISE(ABORT, 'a move of a pointer is not replaced'); END;
CREATE TRIGGER hook_pointer_log_never_changes BEFORE UPDATE ON hook_pointer_log
BEGIN SELECT RAISE(ABORT, 'a move of a pointer never changes'); END;
CREATE TRIGGER hook_pointer_log_stays BEFORE DELETE ON hook_pointer_log
BEGIN SELECT RAISE(ABORT, 'a move of a pointer never changes'); END;
CREATE TRIGGER hook_releases_have_no_gaps BEFORE INSERT ON hook_releases
WHEN NEW.version IS NOT (SELECT coalesce(max(version), 0) + 1 FROM hook_releases WHERE hook = NEW.hook)
    OR EXISTS (SELECT 1 FROM hook_releases WHERE hook = NEW.hook AND digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a release is the next version of its hook, and none is replaced'); END;
CREATE TRIGGER hook_releases_never_change BEFORE UPDATE ON hook_releases
BEGIN SELECT RAISE(ABORT, 'a release is immutable'); END;
CREATE TRIGGER hook_releases_stay BEFORE DELETE ON hook_releases
BEGIN SELECT RAISE(ABORT, 'a release is immutable'); END;
CREATE TRIGGER hook_run_keys_are_added BEFORE INSERT ON hook_run_keys
WHEN EXISTS (SELECT 1 FROM hook_run_keys WHERE hook = NEW.hook AND run_key = NEW.run_key)
BEGIN SELECT RAISE(ABORT, 'what a run key stands for is not replaced'); END;
CREATE TRIGGER hook_run_keys_never_change BEFORE UPDATE ON hook_run_keys
BEGIN SELECT RAISE(ABORT, 'what a run key stands for never changes'); END;
CREATE TRIGGER hook_run_keys_stay BEFORE DELETE ON hook_run_keys
BEGIN SELECT RAISE(ABORT, 'what a run key stands for never changes'); END;
CREATE TRIGGER hook_runs_are_added BEFORE INSERT ON hook_runs
WHEN EXISTS (SELECT 1 FROM hook_runs WHERE id = NEW.id) OR EXISTS (
    SELECT 1 FROM hook_runs WHERE hook = NEW.hook AND run_key = NEW.run_key AND run_key IS NOT NULL AND status IN ('running', 'passed', 'rejected')
)
BEGIN SELECT RAISE(ABORT, 'a hook run is not replaced'); END;
CREATE TRIGGER hook_runs_finish_once BEFORE UPDATE ON hook_runs
WHEN OLD.status <> 'running' OR NEW.id IS NOT OLD.id OR NEW.hook IS NOT OLD.hook OR NEW.version IS NOT OLD.version OR NEW.started_at IS NOT OLD.started_at
    OR NEW.run_key IS NOT OLD.run_key OR NEW.input_kind IS NOT OLD.input_kind OR NEW.input_digest IS NOT OLD.input_digest OR NEW.op_id IS NOT OLD.op_id
BEGIN SELECT RAISE(ABORT, 'a hook run that has finished never changes'); END;
CREATE TRIGGER hook_runs_stay BEFORE DELETE ON hook_runs
BEGIN SELECT RAISE(ABORT, 'a hook run is not deleted'); END;
CREATE TRIGGER hook_silences_are_added BEFORE INSERT ON hook_silences
WHEN EXISTS (SELECT 1 FROM hook_silences WHERE hook_run = NEW.hook_run AND subject_id = NEW.subject_id)
    OR NOT EXISTS (SELECT 1 FROM hook_runs WHERE id = NEW.hook_run AND status = 'running')
BEGIN SELECT RAISE(ABORT, 'what a hook run was given comes with its end, and is not replaced'); END;
CREATE TRIGGER hook_silences_never_change BEFORE UPDATE ON hook_silences
BEGIN SELECT RAISE(ABORT, 'what a hook run was given never changes'); END;
CREATE TRIGGER hook_silences_stay BEFORE DELETE ON hook_silences
WHEN EXISTS (SELECT 1 FROM agent_runs WHERE event_id = OLD.subject_id) OR EXISTS (SELECT 1 FROM hook_runs WHERE id = OLD.hook_run AND input_kind <> 'runs')
BEGIN SELECT RAISE(ABORT, 'what a hook run was given stays as long as the run that it is about'); END;
CREATE TRIGGER hooks_keep_their_contract BEFORE UPDATE ON hooks
WHEN NEW.name IS NOT OLD.name OR NEW.contract IS NOT OLD.contract OR NEW.contract_digest IS NOT OLD.contract_digest OR NEW.created_at IS NOT OLD.created_at
    OR NEW.op_id IS NOT OLD.op_id
BEGIN SELECT RAISE(ABORT, 'of a hook only the live version changes'); END;
CREATE TRIGGER hooks_name_is_new BEFORE INSERT ON hooks WHEN EXISTS (SELECT 1 FROM hooks WHERE name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'a hook is not replaced'); END;
CREATE TRIGGER hooks_stay BEFORE DELETE ON hooks
BEGIN SELECT RAISE(ABORT, 'a hook is not deleted'); END;
CREATE TRIGGER run_schemas_are_added BEFORE INSERT ON run_schemas WHEN EXISTS (SELECT 1 FROM run_schemas WHERE id = NEW.id AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'a schema is not replaced'); END;
CREATE TRIGGER run_schemas_never_change BEFORE UPDATE ON run_schemas
BEGIN SELECT RAISE(ABORT, 'a schema never changes'); END;
CREATE TRIGGER run_schemas_stay BEFORE DELETE ON run_schemas
BEGIN SELECT RAISE(ABORT, 'a schema never changes'); END;
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
CREATE TABLE conventions (
    slug TEXT NOT NULL PRIMARY KEY CHECK (slug GLOB '[a-z]*' AND slug NOT GLOB '*[^a-z0-9-]*' AND length(slug) BETWEEN 3 AND 64),
    title TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    description TEXT NOT NULL CHECK (trim(description) <> ''),
    document TEXT NOT NULL CHECK (document GLOB '{*}'),
    digest TEXT NOT NULL CHECK (length(digest) = 64 AND digest NOT GLOB '*[^0-9a-f]*'),
    deployed_at TEXT NOT NULL CHECK (deployed_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    actor TEXT NOT NULL,
    op_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE features (
    row_id INTEGER PRIMARY KEY,
    hook TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    "values" TEXT NOT NULL CHECK ("values" GLOB '{*}'),
    superseded_by TEXT REFERENCES hook_runs (id)
) STRICT;
CREATE TABLE hook_logs (
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    digest TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (hook_run, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_pointer_log (
    hook TEXT NOT NULL,
    move INTEGER NOT NULL CHECK (move >= 1),
    from_version INTEGER,
    to_version INTEGER NOT NULL,
    at TEXT NOT NULL CHECK (at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    op_id TEXT NOT NULL,
    PRIMARY KEY (hook, move),
    FOREIGN KEY (hook, from_version) REFERENCES hook_releases (hook, version),
    FOREIGN KEY (hook, to_version) REFERENCES hook_releases (hook, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_releases (
    hook TEXT NOT NULL REFERENCES hooks (name),
    version INTEGER NOT NULL CHECK (version >= 1),
    digest TEXT NOT NULL CHECK (length(digest) = 64 AND digest NOT GLOB '*[^0-9a-f]*'),
    kind TEXT NOT NULL CHECK (kind IN ('script', 'folder')),
    artifact TEXT NOT NULL CHECK (artifact GLOB '[[{]*'),
    argv TEXT NOT NULL CHECK (argv GLOB '[[]*'),
    config TEXT NOT NULL CHECK (config GLOB '{*}'),
    limits TEXT NOT NULL CHECK (limits GLOB '{*}'),
    source_ref TEXT NOT NULL CHECK (source_ref <> ''),
    dirty INTEGER NOT NULL CHECK (dirty IN (0, 1)),
    message TEXT,
    actor TEXT NOT NULL,
    released_at TEXT NOT NULL CHECK (released_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    op_id TEXT NOT NULL,
    PRIMARY KEY (hook, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_run_keys (
    hook TEXT NOT NULL REFERENCES hooks (name),
    run_key TEXT NOT NULL CHECK (length(run_key) BETWEEN 1 AND 200),
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    op_id TEXT NOT NULL,
    PRIMARY KEY (hook, run_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_runs (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
    hook TEXT NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('running', 'passed', 'rejected', 'failed', 'errored', 'aborted')),
    failure_kind TEXT CHECK (failure_kind IN ('crash', 'timeout', 'oom', 'killed')),
    exit_code INTEGER, -- of the last attempt; negative for a signal
    started_at TEXT NOT NULL CHECK (started_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    finished_at TEXT CHECK (finished_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z' AND finished_at >= started_at),
    duration_ms INTEGER CHECK (duration_ms >= 0),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    oom_retries INTEGER NOT NULL DEFAULT 0 CHECK (oom_retries >= 0),
    oom_evidence TEXT CHECK (oom_evidence IN ('watched', 'counted')),
    run_key TEXT CHECK (length(run_key) BETWEEN 1 AND 200),
    forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
    convention TEXT, -- the slug of the convention it was run for
    input_kind TEXT NOT NULL CHECK (input_kind IN ('runs', 'records')), -- what its subjects are: runs, which may be pruned, or records of --input
    input_digest TEXT NOT NULL CHECK (length(input_digest) = 64 AND input_digest NOT GLOB '*[^0-9a-f]*'),
    subjects INTEGER NOT NULL CHECK (subjects >= 0),
    rows INTEGER NOT NULL DEFAULT 0 CHECK (rows >= 0),
    mismatch_count INTEGER NOT NULL DEFAULT 0 CHECK (mismatch_count >= 0),
    mismatches TEXT NOT NULL DEFAULT '[]' CHECK (mismatches GLOB '[[]*'), -- the first of them
    actor TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    op_id TEXT NOT NULL,
    finish_op_id TEXT,
    CHECK ((status = 'running') = (finished_at IS NULL)),
    CHECK ((failure_kind IS NOT NULL) = (status = 'errored')),
    FOREIGN KEY (hook, version) REFERENCES hook_releases (hook, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE hook_silences (
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    subject_id TEXT NOT NULL,
    PRIMARY KEY (hook_run, subject_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE hooks (
    name TEXT NOT NULL PRIMARY KEY
        CHECK (name GLOB '[a-z]*' AND name NOT GLOB '*[^a-z0-9_]*' AND length(name) <= 40 AND name NOT IN ('runs', 'records', 'datasets')),
    contract TEXT NOT NULL CHECK (contract GLOB '{*}'),
    contract_digest TEXT NOT NULL CHECK (length(contract_digest) = 64 AND contract_digest NOT GLOB '*[^0-9a-f]*'),
    created_at TEXT NOT NULL CHECK (created_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    live_version INTEGER,
    op_id TEXT NOT NULL,
    -- The pointer can only name a release of the same hook.
    FOREIGN KEY (name, live_version) REFERENCES hook_releases (hook, version)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE run_schemas (
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    fields TEXT NOT NULL CHECK (fields GLOB '[[]*'),
    op_id TEXT NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;
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
CREATE INDEX features_current ON features (hook) WHERE superseded_by IS NULL;
CREATE INDEX features_hook_run ON features (hook_run);
CREATE INDEX features_subject ON features (subject_id, hook);
CREATE INDEX features_superseded_by ON features (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE UNIQUE INDEX hook_releases_digest ON hook_releases (hook, digest);
CREATE INDEX hook_run_keys_hook_run ON hook_run_keys (hook_run);
CREATE INDEX hook_runs_hook ON hook_runs (hook, version, input_digest);
CREATE UNIQUE INDEX hook_runs_run_key ON hook_runs (hook, run_key) WHERE run_key IS NOT NULL AND status IN ('running', 'passed', 'rejected');
CREATE INDEX hook_runs_running ON hook_runs (status) WHERE status = 'running';
CREATE INDEX legacy_values_event_id ON legacy_values (event_id);
CREATE INDEX run_commits_abbreviated ON run_commits (commit_hash) WHERE length(commit_hash) < 40;
CREATE INDEX run_commits_commit_hash ON run_commits (commit_hash);
CREATE INDEX run_commits_event_id ON run_commits (event_id);
CREATE INDEX run_events_event_id ON run_events (event_id, timestamp);
