"""Logs: the stderr of every attempt, kept, bounded, confined, and shown nowhere else."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from support.hooks import SCORE, Hooks

SECRET = "a-secret-of-the-hook"


@pytest.mark.parametrize(
    ("ending", "code"), [(SCORE % 1, 0), ("sys.exit(1)", 1), ("print('{}')", 1), ("os.abort()", 5)]
)
def test_a_log_is_kept_and_appears_nowhere_else(
    hooks: Hooks, ending: str, code: int
) -> None:  # requirement 29
    hooks.release(
        "tried", f"print({SECRET!r} + str(os.getpid()), file=sys.stderr, flush=True)\n{ending}"
    )
    for options in (("-o", "json"), ("-o", "table")):
        ran = hooks.telemetry(
            "hooks",
            "run",
            "tried",
            "--input",
            "-",
            "--force",
            *options,
            stdin='{"id": "a"}',
            code=code,
        )
        assert SECRET not in ran.out + ran.err
    run = hooks.runs("tried")[0]
    assert run["has_logs"] is True and SECRET in hooks.log(run["id"])
    for argv in (
        ["hooks", "runs"],
        ["hooks", "runs", "-o", "json"],
        ["features", "query", "tried", "--explain"],
    ):
        ran = hooks.telemetry(*argv)
        assert SECRET not in ran.out + ran.err
    assert SECRET.encode() not in b"".join(
        path.read_bytes()
        for path in [hooks.telemetry.database, *hooks.telemetry.raw.glob("*.ndjson")]
    )


def test_every_attempt_has_its_own(hooks: Hooks) -> None:  # requirement 29
    run = hooks.tried("print('this is', os.environ['TELEMETRY_HOOK_CONFIG'], file=sys.stderr, flush=True)\ntime.sleep(60)", "--retries", "1",
                      limits=("--timeout", "400ms"), code=5)  # fmt: skip
    assert hooks.log(run["id"]) == "--- attempt 1\nthis is {}\n--- attempt 2\nthis is {}\n"
    assert hooks.log(run["id"], "--attempt", "2") == "this is {}\n"
    data = hooks.telemetry("hooks", "logs", run["id"][:16], "-o", "json").json
    assert data == {
        "hook_run": run["id"],
        "logs": [{"attempt": number, "bytes": 11, "text": "this is {}\n"} for number in (1, 2)],
    }
    hooks.log(run["id"], "--attempt", "3", code=3)


def test_a_long_one_loses_its_middle(hooks: Hooks) -> None:
    run = hooks.tried("sys.stderr.write('begin' + 'x' * (5 << 20) + 'end')")
    log = hooks.log(run["id"])
    assert log.startswith("begin") and log.endswith("end\n") and len(log) < (1 << 20) + 100
    assert f"[... {(5 << 20) + 8 - (1 << 20)} bytes cut out here ...]" in log


@pytest.mark.parametrize("end", ["\n", " "])
def test_what_a_long_one_loses_begins_and_ends_at_the_border_of_a_line_or_a_word(
    hooks: Hooks, end: str
) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 4
    run = hooks.tried(
        f"sys.stderr.write('{token}{end.encode('unicode_escape').decode()}' * 50_000)"
    )
    log = hooks.log(run["id"])
    begin, mark, rest = log.partition("\n[... ")
    cut, _, rest = rest.partition(" bytes cut out here ...]\n")
    words = [*begin.split(), *rest.split()]
    assert (bool(mark), set(words), len(words) * len(token + end) + int(cut)) == (
        True,
        {"[redacted]"},
        50_000 * len(token + end) + 1,
    )
    assert len(words) * len(token + end) > (1 << 20) - 200


def test_a_hook_that_says_nothing_has_no_logs(hooks: Hooks) -> None:
    run = hooks.tried("pass")
    assert run["has_logs"] is False
    assert hooks.log(run["id"]) == ""


def test_what_a_terminal_would_act_on_is_made_harmless(hooks: Hooks) -> None:
    run = hooks.tried("sys.stderr.buffer.write(b'\\x1b[2J\\xff\\n')")
    assert hooks.log(run["id"]) == "\\x1b[2J\ufffd\n"


def test_json_says_has_logs_and_never_a_path_and_reading_is_confined(
    hooks: Hooks, tmp_path: Path
) -> None:  # requirement 30
    run = hooks.tried("print('mine', file=sys.stderr)")
    assert not any("blobs" in str(value) for value in hooks.runs()[0].values())
    (digest,) = hooks.telemetry.sql("SELECT digest FROM hook_logs")[0]
    blobs = hooks.telemetry.base / "blobs"
    victim = tmp_path / "victim"
    victim.write_text(SECRET)
    (hooks.telemetry.base / "blobs-sibling").mkdir()
    (hooks.telemetry.base / "blobs-sibling" / ("a" * 64)).write_text(SECRET)
    (blobs / ("b" * 64)).symlink_to(victim)
    os.link(victim, blobs / ("c" * 64))
    forged = [
        "../../victim",
        str(victim),
        "b" * 64,
        "c" * 64,
        f"../blobs-sibling/{'a' * 64}",
        f"{digest}/../{digest}",
        "",
        "..",
        digest.upper(),
    ]
    db = sqlite3.connect(hooks.telemetry.database, isolation_level=None)
    db.execute("DROP TRIGGER hook_logs_never_change")
    for name in forged:
        db.execute("UPDATE hook_logs SET digest = ?", (name,))
        ran = hooks.telemetry("hooks", "logs", run["id"], code=6)
        assert SECRET not in ran.out + ran.err, name
    db.execute("UPDATE hook_logs SET digest = ?", ("d" * 64,))
    hooks.log(run["id"], code=3)
    db.execute("UPDATE hook_logs SET digest = ?", (digest,))
    db.close()
    assert hooks.log(run["id"]) == "mine\n"


def test_logs_are_read_from_any_folder_and_through_a_symlinked_base(
    hooks: Hooks, tmp_path: Path
) -> None:  # requirement 30
    run = hooks.tried("print('mine', file=sys.stderr)")["id"]
    link = tmp_path / "link"
    link.symlink_to(hooks.telemetry.base)
    assert (
        hooks.telemetry(
            "hooks", "logs", run, cwd=Path("/"), env={"TELEMETRY_BASE_DIR": str(link)}
        ).out
        == "mine\n"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    assert hooks.telemetry("--base-dir", str(link), "hooks", "logs", run, cwd=gone).out == "mine\n"


def test_a_damaged_log_is_told(hooks: Hooks) -> None:
    run = hooks.tried("print('mine', file=sys.stderr)")["id"]
    (digest,) = hooks.telemetry.sql("SELECT digest FROM hook_logs")[0]
    (hooks.telemetry.base / "blobs" / digest).write_text("other\n")
    ran = hooks.telemetry("hooks", "logs", run, code=70)
    assert "damaged" in ran.err and ran.out == ""
    shutil.rmtree(hooks.telemetry.base / "blobs")
    hooks.log(run, code=3)


def test_a_private_key_of_several_lines_stays_in_the_hook(hooks: Hooks) -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\\nDEK-Info: AES-128-CBC,0A\\n"
        + ("QUJD" * 16 + "\\n") * 9
        + "-----END RSA PRIVATE KEY-----"
    )
    run = hooks.tried(f"sys.stderr.write('first\\n{key}\\nlast\\n')")
    log = hooks.log(run["id"])
    assert ("QUJD" in log, log.split()) == (False, ["first", "[redacted]", "last"])


def test_secrets_stay_in_the_hook(hooks: Hooks) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 4
    hooks.release(
        "tried",
        f"print('token={token}', file=sys.stderr)\nprint(json.dumps({{'id': 'a', 'score': 1, 'note': {token!r}}}))",
    )
    run = hooks.run("tried", "--input", "-", stdin='{"id": "a"}')
    assert hooks.log(run["id"]).strip() == "token=[redacted]"
    assert hooks.rows("tried")[0]["values"]["note"] == "[redacted]"
    release = hooks.show("tried@1")["artifact"]
    kept = {
        path.name: path.read_bytes() for path in hooks.telemetry.base.rglob("*") if path.is_file()
    }
    # The program itself is executed as it was released.
    assert [
        name
        for name, content in kept.items()
        if token.encode() in content and name not in str(release)
    ] == []
