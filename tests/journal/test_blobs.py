"""Blobs: what is kept comes back whole, and a name that leads elsewhere is refused."""

import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from telemetry_cli.core.config import Config
from telemetry_cli.core.errors import (
    LockTimeout,
    NotFound,
    Refused,
    TelemetryError,
)
from telemetry_cli.core.locks import lock_unfinished
from telemetry_cli.journal import blobs

CHUNKS = [b"one\ntw", b"", b"o\nthree"]
DIGEST = sha256(b"".join(CHUNKS)).hexdigest()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(base_dir=str(tmp_path / "base"))


def put(config: Config, chunks: Iterable[bytes]) -> str:
    with blobs.Lease(config) as lease:
        return lease.put(chunks)


def test_what_is_kept_comes_back(config: Config) -> None:
    assert put(config, CHUNKS) == put(config, [b"".join(CHUNKS)]) == DIGEST
    assert list(blobs.lines(config, DIGEST)) == [b"one\n", b"two\n", b"three"]
    assert sorted(os.listdir(config.blobs_dir)) == [".lock", DIGEST]


def test_folder_and_file_are_private(config: Config) -> None:
    before = os.umask(0)
    try:
        put(config, CHUNKS)
    finally:
        os.umask(before)
    assert [
        os.stat(path).st_mode & 0o777
        for path in (config.blobs_dir, os.path.join(config.blobs_dir, DIGEST))
    ] == [0o700, 0o600]


def test_a_content_that_breaks_off_leaves_nothing(config: Config) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put(config, chunks())
    assert os.listdir(config.blobs_dir) == [".lock"]


def test_a_damaged_blob_is_told(config: Config) -> None:
    put(config, CHUNKS)
    Path(config.blobs_dir, DIGEST).write_bytes(b"other\n")
    with pytest.raises(TelemetryError, match="damaged"):
        list(blobs.lines(config, DIGEST))


def test_a_blob_that_is_gone_is_not_found(config: Config) -> None:
    with pytest.raises(NotFound, match=DIGEST):
        blobs.open_blob(config, DIGEST)


@pytest.mark.parametrize(
    "name", ["", "../" + "a" * 61, "/etc/passwd", DIGEST.upper(), DIGEST + "0", "." * 64, "g" * 64]
)
def test_what_is_no_digest_is_refused(config: Config, name: str) -> None:
    put(config, CHUNKS)
    with pytest.raises(Refused):
        blobs.open_blob(config, name)


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_links_are_refused(
    config: Config, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    os.makedirs(config.blobs_dir)
    (tmp_path / "victim").write_text("secret")
    plant(tmp_path / "victim", Path(config.blobs_dir, DIGEST))
    with pytest.raises(Refused):
        blobs.open_blob(config, DIGEST)


# Leases


@pytest.fixture
def impatient(config: Config) -> Config:
    config.lock_timeout = 0.0
    return config


def test_several_may_keep_blobs_at_a_time(impatient: Config) -> None:
    with blobs.Lease(impatient) as first, blobs.Lease(impatient) as second:
        assert first.put([b"a"]) != second.put([b"b"])


def test_no_blob_is_deleted_while_one_is_kept(impatient: Config) -> None:
    with blobs.Lease(impatient), pytest.raises(LockTimeout), blobs.Clearance(impatient):
        pass
    with blobs.Clearance(impatient), pytest.raises(LockTimeout), blobs.Lease(impatient):
        pass


def test_clearance_deletes_what_is_there_and_tells_its_size(config: Config) -> None:
    put(config, CHUNKS)
    with blobs.Clearance(config) as clearance:
        assert clearance.delete([DIGEST, "0" * 64]) == len(b"".join(CHUNKS))
    assert blobs.kept(config) == []


def test_lease_removes_blobs_of_killed_writers_only(config: Config) -> None:
    put(config, CHUNKS)
    dead, alive = (os.path.join(config.blobs_dir, f".{name}.tmp") for name in ("dead", "alive"))
    with lock_unfinished(dead), lock_unfinished(alive):
        put(config, CHUNKS)
        assert blobs.partials(config) == [alive, dead]
    Path(dead).touch()
    with lock_unfinished(alive):
        put(config, CHUNKS)
        assert blobs.partials(config) == [alive]


@pytest.mark.parametrize(
    "line",
    [
        b'{"data":{"blob":"%s"}}',
        b'{"artifact":[["0644","f","%s"]]}',
        b'{"blob":null,"logs":[{"digest":"%s"}]}',
        b'"blob":"%s',
    ],
)
def test_every_digest_that_a_line_may_name_is_found(line: bytes) -> None:
    assert blobs.digests_in(line % DIGEST.encode()) == [DIGEST]
