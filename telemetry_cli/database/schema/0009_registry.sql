-- Version 9: the registry of hooks, what their releases computed, and conventions.
--
-- A release, a move of the live pointer, a hook run that has finished and a feature row are never changed or deleted: triggers refuse
-- it, whoever asks. (A row may be marked as superseded, once, and goes with the pruned run that it is about.) The tables named by text are WITHOUT ROWID and their inserts are looked at too, because INSERT OR REPLACE
-- deletes without asking a trigger, through any key that it meets.

-- A hook: a name and what its rows look like, fixed for life. live_version is the release that runs next; null until one is promoted.
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

CREATE TRIGGER hooks_name_is_new BEFORE INSERT ON hooks WHEN EXISTS (SELECT 1 FROM hooks WHERE name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'a hook is not replaced'); END;
CREATE TRIGGER hooks_keep_their_contract BEFORE UPDATE ON hooks
WHEN NEW.name IS NOT OLD.name OR NEW.contract IS NOT OLD.contract OR NEW.contract_digest IS NOT OLD.contract_digest OR NEW.created_at IS NOT OLD.created_at
    OR NEW.op_id IS NOT OLD.op_id
BEGIN SELECT RAISE(ABORT, 'of a hook only the live version changes'); END;
CREATE TRIGGER hooks_stay BEFORE DELETE ON hooks
BEGIN SELECT RAISE(ABORT, 'a hook is not deleted'); END;

-- Releases: immutable, numbered from 1 without gaps. artifact lists what is executed, by SHA-256 of the blobs that hold it.
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

-- The release of a hook with this digest: the same one again is no new version.
CREATE UNIQUE INDEX hook_releases_digest ON hook_releases (hook, digest);

CREATE TRIGGER hook_releases_have_no_gaps BEFORE INSERT ON hook_releases
WHEN NEW.version IS NOT (SELECT coalesce(max(version), 0) + 1 FROM hook_releases WHERE hook = NEW.hook)
    OR EXISTS (SELECT 1 FROM hook_releases WHERE hook = NEW.hook AND digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a release is the next version of its hook, and none is replaced'); END;
CREATE TRIGGER hook_releases_never_change BEFORE UPDATE ON hook_releases
BEGIN SELECT RAISE(ABORT, 'a release is immutable'); END;
CREATE TRIGGER hook_releases_stay BEFORE DELETE ON hook_releases
BEGIN SELECT RAISE(ABORT, 'a release is immutable'); END;

-- Every move of a live pointer, numbered per hook from 1; `at` never goes back.
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

CREATE TRIGGER hook_pointer_log_is_added_to BEFORE INSERT ON hook_pointer_log
WHEN NEW.move IS NOT (SELECT coalesce(max(move), 0) + 1 FROM hook_pointer_log WHERE hook = NEW.hook)
BEGIN SELECT RAISE(ABORT, 'a move of a pointer is not replaced'); END;
CREATE TRIGGER hook_pointer_log_never_changes BEFORE UPDATE ON hook_pointer_log
BEGIN SELECT RAISE(ABORT, 'a move of a pointer never changes'); END;
CREATE TRIGGER hook_pointer_log_stays BEFORE DELETE ON hook_pointer_log
BEGIN SELECT RAISE(ABORT, 'a move of a pointer never changes'); END;

-- Hook runs: one execution of one release. Begun as `running`, finished once. Their ids begin with the time: newest last.
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

-- The passed run of a release on the same input; the runs of a hook.
CREATE INDEX hook_runs_hook ON hook_runs (hook, version, input_digest);
-- What is running: whose process has gone?
CREATE INDEX hook_runs_running ON hook_runs (status) WHERE status = 'running';
-- --run-key: one run, unless it came to nothing and may be tried again.
CREATE UNIQUE INDEX hook_runs_run_key ON hook_runs (hook, run_key) WHERE run_key IS NOT NULL AND status IN ('running', 'passed', 'rejected');

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

-- Keys of runs that were not begun, because a passed one stands for them: the key stands for that one from then on.
CREATE TABLE hook_run_keys (
    hook TEXT NOT NULL REFERENCES hooks (name),
    run_key TEXT NOT NULL CHECK (length(run_key) BETWEEN 1 AND 200),
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    op_id TEXT NOT NULL,
    PRIMARY KEY (hook, run_key)
) STRICT, WITHOUT ROWID;

-- The foreign key.
CREATE INDEX hook_run_keys_hook_run ON hook_run_keys (hook_run);

CREATE TRIGGER hook_run_keys_are_added BEFORE INSERT ON hook_run_keys
WHEN EXISTS (SELECT 1 FROM hook_run_keys WHERE hook = NEW.hook AND run_key = NEW.run_key)
BEGIN SELECT RAISE(ABORT, 'what a run key stands for is not replaced'); END;
CREATE TRIGGER hook_run_keys_never_change BEFORE UPDATE ON hook_run_keys
BEGIN SELECT RAISE(ABORT, 'what a run key stands for never changes'); END;
CREATE TRIGGER hook_run_keys_stay BEFORE DELETE ON hook_run_keys
BEGIN SELECT RAISE(ABORT, 'what a run key stands for never changes'); END;

-- What a hook wrote to stderr, attempt by attempt: the SHA-256 of the blob that holds it (bounded), and how much it wrote.
CREATE TABLE hook_logs (
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    digest TEXT NOT NULL,
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    PRIMARY KEY (hook_run, attempt)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER hook_logs_are_added BEFORE INSERT ON hook_logs
WHEN EXISTS (SELECT 1 FROM hook_logs WHERE hook_run = NEW.hook_run AND attempt = NEW.attempt)
BEGIN SELECT RAISE(ABORT, 'a log is not replaced'); END;
CREATE TRIGGER hook_logs_never_change BEFORE UPDATE ON hook_logs
BEGIN SELECT RAISE(ABORT, 'a log never changes'); END;
CREATE TRIGGER hook_logs_stay BEFORE DELETE ON hook_logs
BEGIN SELECT RAISE(ABORT, 'a log never changes'); END;

-- Feature rows: what a hook run said about a subject. superseded_by is a run of the hook, begun later,
-- that was given the subject too.
CREATE TABLE features (
    row_id INTEGER PRIMARY KEY,
    hook TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    "values" TEXT NOT NULL CHECK ("values" GLOB '{*}'),
    superseded_by TEXT REFERENCES hook_runs (id)
) STRICT;

-- What is known about a subject; what a new run of a hook supersedes.
CREATE INDEX features_subject ON features (subject_id, hook);
-- The rows of a hook run.
CREATE INDEX features_hook_run ON features (hook_run);
-- The rows of a hook that hold, newest first.
CREATE INDEX features_current ON features (hook) WHERE superseded_by IS NULL;
-- The foreign key.
CREATE INDEX features_superseded_by ON features (superseded_by) WHERE superseded_by IS NOT NULL;

CREATE TRIGGER features_are_added BEFORE INSERT ON features
WHEN EXISTS (SELECT 1 FROM features WHERE row_id = NEW.row_id) OR NEW.superseded_by IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM hook_runs WHERE id = NEW.hook_run AND hook = NEW.hook AND status = 'running')
BEGIN SELECT RAISE(ABORT, 'a feature row comes with the end of its hook run, and none is replaced'); END;
CREATE TRIGGER features_are_superseded_once BEFORE UPDATE ON features
WHEN OLD.superseded_by IS NOT NULL OR NEW.superseded_by IS NEW.hook_run OR NEW.row_id IS NOT OLD.row_id OR NEW.hook IS NOT OLD.hook OR NEW.subject_id IS NOT OLD.subject_id
    OR NEW.hook_run IS NOT OLD.hook_run OR NEW."values" IS NOT OLD."values"
BEGIN SELECT RAISE(ABORT, 'of a feature row only superseded_by is set, once'); END;
-- A row goes only after the run that it is about: pruning takes both. A row about a record of --input stays.
CREATE TRIGGER features_stay BEFORE DELETE ON features
WHEN EXISTS (SELECT 1 FROM agent_runs WHERE event_id = OLD.subject_id) OR EXISTS (SELECT 1 FROM hook_runs WHERE id = OLD.hook_run AND input_kind <> 'runs')
BEGIN SELECT RAISE(ABORT, 'a feature row stays as long as the run that it is about'); END;

-- The subjects that a passed run was given and said nothing about: its silence supersedes older rows, and rows of runs begun before it.
CREATE TABLE hook_silences (
    hook_run TEXT NOT NULL REFERENCES hook_runs (id),
    subject_id TEXT NOT NULL,
    PRIMARY KEY (hook_run, subject_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER hook_silences_are_added BEFORE INSERT ON hook_silences
WHEN EXISTS (SELECT 1 FROM hook_silences WHERE hook_run = NEW.hook_run AND subject_id = NEW.subject_id)
    OR NOT EXISTS (SELECT 1 FROM hook_runs WHERE id = NEW.hook_run AND status = 'running')
BEGIN SELECT RAISE(ABORT, 'what a hook run was given comes with its end, and is not replaced'); END;
CREATE TRIGGER hook_silences_never_change BEFORE UPDATE ON hook_silences
BEGIN SELECT RAISE(ABORT, 'what a hook run was given never changes'); END;
CREATE TRIGGER hook_silences_stay BEFORE DELETE ON hook_silences
WHEN EXISTS (SELECT 1 FROM agent_runs WHERE event_id = OLD.subject_id) OR EXISTS (SELECT 1 FROM hook_runs WHERE id = OLD.hook_run AND input_kind <> 'runs')
BEGIN SELECT RAISE(ABORT, 'what a hook run was given stays as long as the run that it is about'); END;

-- Conventions, by slug: which hooks apply to which job types, as the file last deployed says.
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

-- What the runs of a convention must hold, by id and version; the same ones never come to mean something else.
CREATE TABLE run_schemas (
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    fields TEXT NOT NULL CHECK (fields GLOB '[[]*'),
    op_id TEXT NOT NULL,
    PRIMARY KEY (id, version)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER run_schemas_are_added BEFORE INSERT ON run_schemas WHEN EXISTS (SELECT 1 FROM run_schemas WHERE id = NEW.id AND version = NEW.version)
BEGIN SELECT RAISE(ABORT, 'a schema is not replaced'); END;
CREATE TRIGGER run_schemas_never_change BEFORE UPDATE ON run_schemas
BEGIN SELECT RAISE(ABORT, 'a schema never changes'); END;
CREATE TRIGGER run_schemas_stay BEFORE DELETE ON run_schemas
BEGIN SELECT RAISE(ABORT, 'a schema never changes'); END;
