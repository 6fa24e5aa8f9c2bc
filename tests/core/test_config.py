"""Settings: flag over environment over file over default, where things are, and what a wrong setting says."""

import fcntl
import os
import pwd
from pathlib import Path

import pytest
from support import Telemetry

START = ("run", "start", "--agent-name", "a", "--job-type", "j", "--no-git")


def write(telemetry: Telemetry, text: str | bytes) -> Path:
    path = telemetry.home / ".config" / "telemetry" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def setting(
    telemetry: Telemetry, name: str, *options: str, env: dict[str, str] | None = None
) -> tuple[str, str]:
    """A setting's value and where it came from."""
    (found,) = [
        row
        for row in telemetry(*options, "config", "show", "-o", "json", env=env).json
        if row["setting"] == name
    ]
    return found["value"], found["source"]


def places(
    telemetry: Telemetry, *options: str, env: dict[str, str] | None = None
) -> tuple[str, str]:
    found = telemetry(*options, "db", "path", "-o", "json", env=env).json
    return found["base_dir"], found["db_path"]


# Which one counts


def test_flag_over_environment_over_file_over_default(telemetry: Telemetry) -> None:
    del telemetry.env["TELEMETRY_BASE_DIR"]
    default = places(telemetry)[0]
    write(telemetry, 'base_dir = "/of/the/file"\n')
    in_environment = {"TELEMETRY_BASE_DIR": "/of/the/environment"}
    assert default == str(telemetry.home / ".local/share/telemetry")
    assert places(telemetry)[0] == "/of/the/file"
    assert places(telemetry, env=in_environment)[0] == "/of/the/environment"
    assert places(telemetry, "--base-dir", "/of/the/flag", env=in_environment)[0] == "/of/the/flag"


@pytest.mark.parametrize(
    ("name", "variable", "in_file", "in_environment"),
    [
        ("agent_name", "TELEMETRY_AGENT_NAME", '"f"', "e"),
        ("job_type", "TELEMETRY_JOB_TYPE", '"f"', "e"),
        ("agent_owner", "AGENT_OWNER", '"f"', "e"),
        ("lock_timeout", "TELEMETRY_LOCK_TIMEOUT", "0.25", "1"),
        ("db_synchronous", "TELEMETRY_DB_SYNCHRONOUS", '"full"', "extra"),
    ],
)
def test_show_tells_value_and_source(
    telemetry: Telemetry, name: str, variable: str, in_file: str, in_environment: str
) -> None:
    assert setting(telemetry, name)[1] == "default"
    path = write(telemetry, f"{name} = {in_file}\n")
    value, source = setting(telemetry, name)
    assert (value, str(path) in source) == (in_file.strip('"'), True)
    assert setting(telemetry, name, env={variable: in_environment}) == (in_environment, variable)


def test_an_empty_variable_is_not_set(telemetry: Telemetry) -> None:
    write(telemetry, 'agent_name = "of the file"\n')
    assert setting(telemetry, "agent_name", env={"TELEMETRY_AGENT_NAME": ""})[0] == "of the file"


def test_the_alias_of_the_base(telemetry: Telemetry) -> None:
    del telemetry.env["TELEMETRY_BASE_DIR"]
    assert places(telemetry, env={"AGENT_METRICS_DIR": "/alias"})[0] == "/alias"
    assert (
        places(telemetry, env={"AGENT_METRICS_DIR": "/alias", "TELEMETRY_BASE_DIR": "/name"})[0]
        == "/name"
    )


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
def test_show_in_every_format(telemetry: Telemetry, output: str) -> None:
    """The value of a setting is never cut: what is copied from here is used as a path."""
    base = str(telemetry.home / "long" / ("x" * 150))
    assert base in "".join(
        telemetry("--base-dir", base, "config", "show", "-o", output).out.split()
    )
    assert not telemetry.base.exists()


def test_path(telemetry: Telemetry) -> None:
    assert telemetry("config", "path").line == str(telemetry.home / ".config/telemetry/config.toml")
    assert (
        telemetry("config", "path", env={"XDG_CONFIG_HOME": "/elsewhere"}).line
        == "/elsewhere/telemetry/config.toml"
    )
    assert telemetry("config", "path", env={"XDG_CONFIG_HOME": "relative"}).line == str(
        telemetry.home / ".config/telemetry/config.toml"
    )


# A bad file


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("not toml", "not valid TOML"),
        (b"agent_name = '\xff'", "not valid TOML"),
        ("agent_nam = 'a'", "agent_nam"),
        ("[run]\nagent_name = 'a'", "run"),
        ("agent_name = ['a']", "agent_name"),
        ("agent_name = {a = 1}", "agent_name"),
        ("lock_timeout = -1", "lock_timeout"),
        ("lock_timeout = 'soon'", "lock_timeout"),
        ("lock_timeout = nan", "lock_timeout"),
        ("lock_timeout = inf", "lock_timeout"),
        ("db_synchronous = 'normal'", "db_synchronous"),
        ("db_synchronous = 1", "db_synchronous"),
        ("url_hosts = 'x'", "url_hosts"),
        ("[url_hosts]\n'git.example.org' = 'sourceforge'", "url_hosts"),
        ("a = " + "[" * 3000, "config.toml"),
    ],
)
def test_a_bad_file_is_named_and_nothing_is_written(
    telemetry: Telemetry, text: str | bytes, named: str
) -> None:
    path = write(telemetry, text)
    refused = telemetry(*START, code=2)
    assert (str(path) in refused.err, named in refused.err, refused.out) == (True, True, "")
    assert not telemetry.base.exists()


def test_an_unknown_key_says_what_is_known(telemetry: Telemetry) -> None:
    write(telemetry, "basedir = '/x'")
    assert "base_dir" in telemetry("config", "show", code=2).err


def test_a_folder_in_place_of_the_file(telemetry: Telemetry) -> None:
    (telemetry.home / ".config/telemetry/config.toml").mkdir(parents=True)
    assert "config.toml" in telemetry(*START, code=2).err


def test_defaults_of_a_run_come_from_the_file(telemetry: Telemetry) -> None:
    write(telemetry, 'agent_name = "of the file"\njob_type = "j"\nagent_owner = "o"\n')
    run = telemetry.run(telemetry("run", "start").line)
    assert (run["agent_name"], run["job_type"], run["agent_owner"]) == ("of the file", "j", "o")


def test_disabled_in_the_file(telemetry: Telemetry) -> None:
    write(telemetry, "disabled = true\n")
    assert (telemetry(*START).out, telemetry.base.exists()) == ("", False)


# Where things are


def test_a_database_in_a_folder_named_db(telemetry: Telemetry) -> None:
    database = telemetry.home / "place" / "db" / "mine.sqlite"
    del telemetry.env["TELEMETRY_BASE_DIR"]
    assert places(telemetry, "--db", str(database)) == (
        str(telemetry.home / "place"),
        str(database),
    )
    telemetry("--db", str(database), *START)
    assert (database.exists(), (telemetry.home / "place" / "raw").is_dir()) == (True, True)


@pytest.mark.parametrize("how", ["flag", "environment", "file"])
def test_a_database_anywhere_else(telemetry: Telemetry, how: str) -> None:
    database = telemetry.home / "place" / "runs.db"
    del telemetry.env["TELEMETRY_BASE_DIR"]
    if how == "file":
        write(telemetry, f'db_path = "{database}"\n')
    elif how == "environment":
        telemetry.env["TELEMETRY_DB_PATH"] = str(database)
    telemetry(*(["--db", str(database)] if how == "flag" else []), *START)
    assert sorted(path.name for path in database.parent.iterdir()) == [
        "runs.db",
        "runs.db.d",
        "runs.db.lock",
    ]
    assert (database.parent / "runs.db.d" / "raw").is_dir()


def test_both_flags(telemetry: Telemetry) -> None:
    base, database = telemetry.home / "b", telemetry.home / "elsewhere" / "x.sqlite"
    telemetry("--db", str(database), f"--base-dir={base}", *START)
    assert (database.exists(), (base / "raw").is_dir(), telemetry.base.exists()) == (
        True,
        True,
        False,
    )


def test_a_flag_for_one_does_not_mix_with_a_variable_for_the_other(telemetry: Telemetry) -> None:
    database = telemetry.home / "elsewhere" / "x.sqlite"
    telemetry("--db", str(database), *START)
    assert (telemetry.base.exists(), (telemetry.home / "elsewhere/x.sqlite.d/raw").is_dir()) == (
        False,
        True,
    )


def test_xdg_data_home(telemetry: Telemetry) -> None:
    del telemetry.env["TELEMETRY_BASE_DIR"]
    assert places(telemetry, env={"XDG_DATA_HOME": "/data"}) == (
        "/data/telemetry",
        "/data/telemetry/db/telemetry.sqlite",
    )
    assert places(telemetry, env={"XDG_DATA_HOME": "not/absolute"})[0] == str(
        telemetry.home / ".local/share/telemetry"
    )


def test_paths_may_be_relative_and_begin_with_a_tilde(telemetry: Telemetry) -> None:
    assert places(telemetry, "--base-dir", "here")[0] == str(telemetry.cwd / "here")
    assert places(telemetry, "--base-dir", "~/there")[0] == str(telemetry.home / "there")


@pytest.mark.parametrize("option", ["--db", "--base-dir"])
@pytest.mark.parametrize("spelling", ["two words", "equals"])
def test_an_empty_path_is_refused(telemetry: Telemetry, option: str, spelling: str) -> None:
    given = [option, ""] if spelling == "two words" else [f"{option}="]
    assert option in telemetry(*given, *START, code=2).err
    assert not telemetry.base.exists()


def test_the_base_may_be_a_symlink(telemetry: Telemetry) -> None:
    (telemetry.home / "real").mkdir()
    telemetry.base.symlink_to("real")
    telemetry(*START)
    assert (telemetry.home / "real/db/telemetry.sqlite").exists()


# Durability and locks


@pytest.mark.parametrize("value", ["off", "NORMAL", "1", "2", "", "extra;"])
def test_a_synchronous_that_is_less(telemetry: Telemetry, value: str) -> None:
    ran = telemetry(*START, env={"TELEMETRY_DB_SYNCHRONOUS": value}, code=None)
    assert ran.code == (2 if value else 0)
    assert ("TELEMETRY_DB_SYNCHRONOUS" in ran.err, telemetry.base.exists()) == (
        bool(value),
        not value,
    )


@pytest.mark.parametrize("value", ["EXTRA", "extra", "FULL", "Full"])
def test_a_synchronous_that_is_enough(telemetry: Telemetry, value: str) -> None:
    assert telemetry(*START, env={"TELEMETRY_DB_SYNCHRONOUS": value}).err == ""


@pytest.mark.parametrize("value", ["WAL", "off", "TRUNCATE"])
def test_another_journal_mode_is_a_warning(telemetry: Telemetry, value: str) -> None:
    started = telemetry(*START, env={"TELEMETRY_DB_JOURNAL_MODE": value})
    assert ("TELEMETRY_DB_JOURNAL_MODE" in started.err, "DELETE" in started.err) == (True, True)
    assert telemetry.sql("PRAGMA journal_mode") == [("delete",)]


def test_the_journal_mode_that_is_used_is_no_warning(telemetry: Telemetry) -> None:
    assert telemetry(*START, env={"TELEMETRY_DB_JOURNAL_MODE": "delete"}).err == ""


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({"TELEMETRY_LOCK_TIMEOUT": "0"}, 0.0),
        ({"TELEMETRY_LOCK_TIMEOUT": "0.4"}, 0.4),
        ({"TELEMETRY_DB_BUSY_TIMEOUT_MS": "400"}, 0.4),
        ({"TELEMETRY_LOCK_TIMEOUT": "0.4", "TELEMETRY_DB_BUSY_TIMEOUT_MS": "60000"}, 0.4),
    ],
)
def test_how_long_a_write_waits(telemetry: Telemetry, env: dict[str, str], seconds: float) -> None:
    telemetry(*START)
    with (telemetry.base / "db" / "telemetry.sqlite.lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran, slept = telemetry.sleep_in(*START, "--json", env=env)
    assert ran.json["status"] == "buffered"
    assert slept == pytest.approx(seconds)


@pytest.mark.parametrize("variable", ["TELEMETRY_LOCK_TIMEOUT", "TELEMETRY_DB_BUSY_TIMEOUT_MS"])
@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e99", "5s", "99999999999999999999"])
def test_a_wait_that_is_no_number(telemetry: Telemetry, variable: str, value: str) -> None:
    assert variable in telemetry(*START, env={variable: value}, code=2).err
    assert not telemetry.base.exists()


# Without HOME. These only ask where things would be: nothing is written to the place of the user who runs the tests.


def test_without_home_the_users_entry_counts(telemetry: Telemetry) -> None:
    for name in ("HOME", "TELEMETRY_BASE_DIR"):
        del telemetry.env[name]
    assert places(telemetry)[0] == str(
        Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/share/telemetry"
    )


@pytest.mark.parametrize("home", ["", "not/absolute"])
def test_a_home_that_is_none_is_never_taken_for_a_folder(telemetry: Telemetry, home: str) -> None:
    del telemetry.env["TELEMETRY_BASE_DIR"]
    asked = telemetry("db", "path", env={"HOME": home}, code=None)
    fallback = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/share/telemetry/db/telemetry.sqlite"
    assert (
        asked.line == str(fallback)
        if asked.code == 0
        else (asked.code, "TELEMETRY_BASE_DIR" in asked.err) == (2, True)
    )


def test_with_a_base_no_home_is_needed(telemetry: Telemetry) -> None:
    del telemetry.env["HOME"]
    assert telemetry.run(telemetry.start())["agent_name"] == "tester"
