"""How the ledger names a commit: by its SHA, or by a part of it where no repository was there that knew more."""

#: What `rules.commit_hash` takes: 7 digits of a SHA, or more.
_SHORTEST, _SHA1 = 7, 40
_ABBREVIATED = ",".join(f"substr(sha, 1, {length})" for length in range(_SHORTEST, _SHA1))

#: The entries of each commit in a JSON array of SHAs, as a table `entered` (sha, id, event_id, role). One question, however many they are.
ENTERED = f"""
    asked AS MATERIALIZED (SELECT value AS sha FROM json_each(?)),
    entered AS (
        SELECT sha, id, event_id, role FROM asked JOIN run_commits ON commit_hash = sha
        UNION ALL
        SELECT sha, id, event_id, role FROM asked JOIN run_commits ON commit_hash IN ({_ABBREVIATED})
        WHERE length(commit_hash) < {_SHA1} AND EXISTS (SELECT 1 FROM run_commits WHERE length(commit_hash) < {_SHA1})
    )"""


def spellings(sha: str) -> list[str]:
    """A SHA and its parts that an entry may name it by."""
    return [sha, *(sha[:length] for length in range(_SHORTEST, min(len(sha), _SHA1)))]


def begins(prefix: str) -> tuple[str, list[object]]:
    """A condition on an entry's commit, and its values: its SHA begins so, or it was entered by a part of this."""
    shorter = spellings(prefix)[1:]
    return (
        f"(commit_hash >= ? AND commit_hash < ? OR commit_hash IN ({','.join('?' * len(shorter))}))",
        [prefix, prefix + "g", *shorter],
    )
