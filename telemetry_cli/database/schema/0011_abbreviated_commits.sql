-- Version 11: commits that a run was associated with by a part of their SHA, because no repository was there that knew more.

-- They are few, and each of them is looked at when the runs behind a whole SHA are asked for.
CREATE INDEX run_commits_abbreviated ON run_commits (commit_hash) WHERE length(commit_hash) < 40;
