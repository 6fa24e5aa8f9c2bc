"""Folders 0700 and files 0600 under any umask; no link and no pipe is ever followed."""

import errno
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import PROGRAM, Telemetry
from support.storage import EXCLUSIVE, FLOCKED, START, append, create, held, ids, segment

from telemetry_cli.core import fs as files
from telemetry_cli.core.errors import Refused, from_system

VICTIM = b"\0precious\n"


def _everything(telemetry: Telemetry) -> dict[str, str]:
    """Each folder and file of the base with its mode."""
    paths = [telemetry.base, *telemetry.base.rglob("*")]
    return {
        str(path.relative_to(telemetry.home)): f"{stat.S_IMODE(path.lstat().st_mode):04o}"
        for path in paths
    }


def _start(telemetry: Telemetry, umask: int, **env: str) -> None:
    subprocess.run(
        [PROGRAM, *START],
        env=telemetry.env | env,
        cwd=telemetry.cwd,
        umask=umask,
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=["000", "022", "777"])
def test_modes_do_not_depend_on_the_umask(telemetry: Telemetry, umask: int) -> None:
    _start(telemetry, umask)
    with held(EXCLUSIVE, telemetry.database), held(FLOCKED, telemetry.raw / ".lock"):
        _start(telemetry, umask, TELEMETRY_LOCK_TIMEOUT="0")
    assert _everything(telemetry) == {
        "base": "0700",
        "base/raw": "0700",
        "base/db": "0700",
        "base/buffer": "0700",
        "base/raw/.lock": "0600",
        f"base/raw/{segment(telemetry).name}": "0600",
        f"base/buffer/{next(telemetry.buffer.iterdir()).name}": "0600",
        "base/db/telemetry.sqlite": "0600",
        "base/db/telemetry.sqlite.lock": "0600",
    }


@pytest.mark.parametrize("umask", [0o000, 0o777], ids=["000", "777"])
def test_a_database_elsewhere_is_private_too(telemetry: Telemetry, umask: int) -> None:
    database = telemetry.home / "elsewhere" / "runs.sqlite"
    database.parent.mkdir()
    _start(telemetry, umask, TELEMETRY_BASE_DIR="", TELEMETRY_DB_PATH=str(database))
    modes = {
        path.name: f"{stat.S_IMODE(path.lstat().st_mode):04o}" for path in database.parent.iterdir()
    }
    assert modes == {"runs.sqlite": "0600", "runs.sqlite.lock": "0600", "runs.sqlite.d": "0700"}


# Planted things

FOLDERS = ("raw", "db", "buffer")
FILES = (
    "db/telemetry.sqlite",
    "db/telemetry.sqlite.lock",
    "db/telemetry.sqlite-journal",
    "raw/.lock",
    "segment",
)


def _place(telemetry: Telemetry, name: str) -> Path:
    return segment(telemetry) if name == "segment" else telemetry.base / name


def _refuses(telemetry: Telemetry, plant: Callable[[Path], object], name: str) -> None:
    """With something planted at `name`, a write exits 6; removed again, everything works and was left as it was."""
    first = telemetry.start()
    place, aside = _place(telemetry, name), telemetry.home / "aside"
    if place.exists():
        place.rename(aside)
    plant(place)
    with telemetry.popen(*START, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        try:
            _, err = writer.communicate(timeout=60)
        finally:
            writer.kill()
    assert (writer.returncode, place.name in err.decode()) == (6, True), err.decode()
    assert place.is_symlink() or place.exists(), "what was planted is for the user to remove"
    place.unlink()
    if aside.exists():
        aside.rename(place)
    assert first in ids(telemetry)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_symlinked_folder_is_refused(telemetry: Telemetry, name: str) -> None:
    victim = telemetry.home / "victim"
    victim.mkdir()
    _refuses(telemetry, lambda place: place.symlink_to(victim), name)
    assert list(victim.iterdir()) == []


@pytest.mark.parametrize("name", FOLDERS)
def test_a_file_in_place_of_a_folder_is_refused(telemetry: Telemetry, name: str) -> None:
    _refuses(telemetry, lambda place: place.write_bytes(VICTIM), name)


@pytest.mark.parametrize("name", FILES)
def test_a_symlinked_file_is_refused_and_its_target_untouched(
    telemetry: Telemetry, name: str
) -> None:
    victim = telemetry.home / "victim"
    victim.write_bytes(VICTIM)
    _refuses(telemetry, lambda place: place.symlink_to(victim), name)
    assert victim.read_bytes() == VICTIM


@pytest.mark.parametrize("name", FILES)
def test_a_dangling_symlink_is_refused_and_its_target_not_made(
    telemetry: Telemetry, name: str
) -> None:
    victim = telemetry.home / "victim"
    _refuses(telemetry, lambda place: place.symlink_to(victim), name)
    assert not victim.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_hard_link_is_refused_and_its_other_name_untouched(
    telemetry: Telemetry, name: str
) -> None:
    victim = telemetry.home / "victim"
    victim.write_bytes(VICTIM)
    _refuses(telemetry, lambda place: os.link(victim, place), name)
    assert victim.read_bytes() == VICTIM


@pytest.mark.parametrize("name", FILES)
def test_a_planted_pipe_is_refused_at_once(telemetry: Telemetry, name: str) -> None:
    _refuses(telemetry, os.mkfifo, name)


@pytest.mark.parametrize("plant", [os.link, os.symlink], ids=["hard link", "symlink"])
def test_a_planted_entry_of_the_buffer_is_refused(
    telemetry: Telemetry, plant: Callable[[Path, Path], None]
) -> None:
    victim = telemetry.home / "victim"
    victim.write_bytes(VICTIM)
    telemetry.start()
    telemetry.buffer.mkdir(mode=0o700)
    plant(victim, telemetry.buffer / f"{1:032x}.ndjson")
    telemetry(*START, code=6)
    assert victim.read_bytes() == VICTIM
    assert b"precious" not in segment(telemetry).read_bytes()


@pytest.mark.parametrize("name", ["raw", "db/telemetry.sqlite", "segment"])
def test_a_read_refuses_too(telemetry: Telemetry, name: str) -> None:
    telemetry.start()
    append(telemetry, create(1, "left-behind"))
    place = _place(telemetry, name)
    place.rename(telemetry.home / "aside")
    place.symlink_to(telemetry.home / "aside")
    telemetry("query", "-o", "ids", code=6)


# The base


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_what_root_makes_below_anothers_base_is_the_owners() -> None:
    """Everything that root's commands leave there can be used by the owner afterwards, and root's own base stays root's."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        telemetry = Telemetry(Path(folder))
        telemetry.base.mkdir(mode=0o700)
        os.chown(telemetry.base, 12345, 12346)
        first = telemetry.start()
        telemetry(
            "import",
            "-",
            "--format",
            "ndjson",
            stdin='{"start_time": "2026-01-01T00:00:00Z", "agent_name": "a", "job_type": "j"}',
        )
        for argv in (("backup",), ("rebuild",), ("vacuum",), ("backup", folder)):
            telemetry("db", *argv)
        with held(FLOCKED, telemetry.raw / ".lock"):
            telemetry.start(env={"TELEMETRY_LOCK_TIMEOUT": "0.2"})
        assert {
            (path.lstat().st_uid, path.lstat().st_gid) for path in telemetry.base.rglob("*")
        } == {(12345, 12346)}
        assert {path.stat().st_uid for path in Path(folder).glob("backup_*")} == {0}
        assert first in ids(telemetry)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize("made", [".", ".local", ".local/share", ".local/share/telemetry"])
def test_default_base_that_root_makes_belongs_to_the_owner_of_the_home(made: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        telemetry = Telemetry(Path(folder) / "home")
        telemetry.env["TELEMETRY_BASE_DIR"] = ""
        (telemetry.home / made).mkdir(parents=True, exist_ok=True)
        for path in (telemetry.home, *telemetry.home.rglob("*")):
            os.chown(path, 12345, 12346)
        telemetry.start()
        telemetry("db", "backup")
        assert (telemetry.home / ".local/share/telemetry/db/telemetry.sqlite").is_file()
        assert {
            (path.lstat().st_uid, path.lstat().st_gid) for path in telemetry.home.rglob("*")
        } == {(12345, 12346)}


@pytest.fixture
def others_base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A base of another user's that root writes to, beside a directory of root's."""
    if os.geteuid():
        pytest.skip("giving files away needs root")
    monkeypatch.setattr(files, "_places", {})
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        base.mkdir(mode=0o700)
        (base / "raw").mkdir(mode=0o700)
        for path in (base, base / "raw"):
            os.chown(path, 12345, 12345)
        (Path(folder) / "roots").mkdir(mode=0o755)
        files.respect_owner(str(base), str(base / "db/telemetry.sqlite"))
        yield base


@pytest.mark.parametrize(
    "make",
    [files.make_folder, lambda path: files.open_private(path, os.O_RDWR | os.O_CREAT)],
    ids=["directory", "file"],
)
def test_root_follows_no_link_on_the_way_below_anothers_base(
    others_base: Path, make: Callable[[str], object]
) -> None:
    roots = others_base.parent / "roots"
    (others_base / "raw").rename(others_base / "aside")
    (others_base / "raw").symlink_to(roots)
    with pytest.raises(Refused):
        make(str(others_base / "raw" / "made"))
    assert list(roots.iterdir()) == []


@pytest.mark.parametrize("name", ["base", "base/link/telemetry"])
def test_root_refuses_anothers_link_on_the_way_to_the_base(others_base: Path, name: str) -> None:
    roots, base = others_base.parent / "roots", others_base.parent / name
    link = base if name == "base" else base.parent
    if name == "base":
        others_base.rename(others_base.parent / "aside")
    link.symlink_to(roots)
    os.lchown(link, 12345, 12345)
    with pytest.raises(Refused):
        files.respect_owner(str(base), str(base / "db"))


def test_root_follows_no_link_in_the_place_of_anothers_base(others_base: Path) -> None:
    roots = others_base.parent / "roots"
    others_base.rename(others_base.parent / "aside")
    others_base.symlink_to(roots)
    with pytest.raises(Refused):
        files.make_folder(str(others_base / "raw"))
    assert list(roots.iterdir()) == []


@pytest.mark.parametrize("swap", ["link", "directory"])
def test_directory_that_is_swapped_while_root_makes_it_changes_nothing_of_roots(
    others_base: Path, monkeypatch: pytest.MonkeyPatch, swap: str
) -> None:
    roots, made = others_base.parent / "roots", others_base / "blobs"
    (roots / "file").touch()
    mkdir = os.mkdir

    def swapped(name: str, mode: int, *, dir_fd: int | None = None) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        made.rename(others_base / "aside")
        if swap == "link":
            made.symlink_to(roots)
        else:
            roots.rename(made)

    monkeypatch.setattr(os, "mkdir", swapped)
    if swap == "link":
        with pytest.raises(Refused):
            files.make_folder(str(made))
    else:
        files.make_folder(str(made))
    found = (roots if swap == "link" else made).stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o755, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_refusal_names_the_owner() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, 12345, 12345)
        known = from_system(
            PermissionError(errno.EACCES, "Permission denied", f"{folder}/raw/.lock")
        )
        assert (known.exit_code, known.message) == (6, f"{folder}/raw/.lock: Permission denied")
        assert known.hint.startswith(f"{folder} belongs to user 12345: telemetry doctor ")


def test_refusal_in_a_directory_of_ones_own_names_no_owner(tmp_path: Path) -> None:
    known = from_system(PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/raw/.lock"))
    assert known.hint == f"Check the permissions of {tmp_path}, or name another --base-dir."


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
@pytest.mark.parametrize("option", ["--base-dir", "--db"])
def test_root_gives_files_to_the_owner_of_anothers_directory(option: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        telemetry = Telemetry(Path(folder) / "home")
        theirs = Path(folder) / "theirs"
        theirs.mkdir()
        os.chown(theirs, 12345, 12346)
        named = (option, str(theirs / "new" / "name"))
        telemetry(*named, "run", "start", "--agent-name", "a", "--job-type", "j")
        found = {path: (path.lstat().st_uid, path.lstat().st_gid) for path in theirs.rglob("*")}
        assert found and set(found.values()) == {(12345, 12346)}, found
        # Root's own base stays root's.
        assert {path.lstat().st_uid for path in telemetry.base.rglob("*")} <= {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_root_follows_no_link_to_the_directory_of_a_database() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        telemetry = Telemetry(Path(folder) / "home")
        theirs, roots = Path(folder) / "theirs", Path(folder) / "roots"
        for path in (theirs, roots):
            path.mkdir()
        (theirs / "link").symlink_to(roots)
        for path in (theirs, theirs / "link"):
            os.lchown(path, 12345, 12345)
        ran = telemetry(
            "run",
            "start",
            "--agent-name",
            "a",
            "--job-type",
            "j",
            env={"TELEMETRY_DB_PATH": str(theirs / "link" / "db.sqlite")},
            code=6,
        )
        assert str(theirs / "link") in ran.err and list(roots.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_base_that_root_makes_stays_roots() -> None:
    with tempfile.TemporaryDirectory() as folder:
        telemetry = Telemetry(Path(folder))
        telemetry.start()
        assert {path.lstat().st_uid for path in (telemetry.base, *telemetry.base.rglob("*"))} == {0}


def test_the_base_may_be_a_symlink(telemetry: Telemetry) -> None:
    real = telemetry.home / "real"
    real.mkdir()
    telemetry.base.symlink_to(real)
    run = telemetry.start()
    assert ids(telemetry) == [run]
    assert (real / "db" / "telemetry.sqlite").is_file()


@pytest.mark.parametrize(
    "argv",
    [
        ("query", "-o", "ids"),
        ("db", "backup"),
        ("db", "rebuild"),
        ("db", "vacuum"),
        ("doctor",),
        ("redact", "--scan"),
    ],
    ids=" ".join,
)
def test_every_command_takes_a_symlink_for_the_base(
    telemetry: Telemetry, argv: tuple[str, ...]
) -> None:
    real = telemetry.home / "real"
    real.mkdir(mode=0o700)
    telemetry.base.symlink_to(real)
    run = telemetry.start()
    telemetry(*argv)
    assert telemetry.base.is_symlink()
    assert ids(telemetry) == [run]


@contextmanager
def _shared(telemetry: Telemetry) -> Iterator[Path]:
    """A folder in which anybody may make entries and only their owners may take them away, as /tmp is one."""
    folder = telemetry.home / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


@pytest.mark.parametrize("below", ["base", "not/there/yet"])
def test_a_base_below_a_sticky_folder(telemetry: Telemetry, below: str) -> None:
    with _shared(telemetry) as folder:
        telemetry.env["TELEMETRY_BASE_DIR"] = str(folder / below)
        telemetry.base = folder / below
        first = telemetry.start()
        telemetry("run", "event", "step", "--run", first)
        telemetry("run", "end", first)
        second = telemetry.start()
        telemetry("db", "backup")
        telemetry("doctor")
        assert ids(telemetry) == sorted([first, second])
        modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_dir()}
        assert modes == {0o700}


@pytest.mark.parametrize("target", ["a folder", "nowhere"])
def test_a_link_planted_for_the_base_in_a_sticky_folder(telemetry: Telemetry, target: str) -> None:
    """It may be a link, to a folder; nothing is ever made through one that leads nowhere."""
    with _shared(telemetry) as folder:
        (telemetry.home / "a folder").mkdir(mode=0o700)
        (folder / "base").symlink_to(telemetry.home / target)
        telemetry.env["TELEMETRY_BASE_DIR"] = str(folder / "base")
        assert telemetry(*START, code=None).code == (0 if target == "a folder" else 6)
        assert (telemetry.home / "nowhere").exists() is False


def test_a_base_that_is_a_dangling_symlink_is_refused(telemetry: Telemetry) -> None:
    telemetry.base.symlink_to(telemetry.home / "nowhere")
    ran = telemetry(*START, code=None)
    assert ran.code == 6, ran
    assert not (telemetry.home / "nowhere").exists()


def test_a_base_that_is_a_file_is_refused(telemetry: Telemetry) -> None:
    telemetry.base.write_bytes(VICTIM)
    telemetry(*START, code=6)
    assert telemetry.base.read_bytes() == VICTIM
