"""Blobs: what is kept comes back whole, and a name that leads elsewhere is refused."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from telemetry_cli import blobs
from telemetry_cli.config import Config
from telemetry_cli.errors import NotFound, Refused, TelemetryError

CHUNKS = [b"one\ntw", b"", b"o\nthree"]
DIGEST = sha256(b"".join(CHUNKS)).hexdigest()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(base_dir=str(tmp_path / "base"))


def test_what_is_kept_comes_back(config: Config) -> None:
    assert blobs.put(config, CHUNKS) == blobs.put(config, [b"".join(CHUNKS)]) == DIGEST
    assert list(blobs.lines(config, DIGEST)) == [b"one\n", b"two\n", b"three"]
    assert os.listdir(config.blobs_dir) == [DIGEST]


def test_folder_and_file_are_private(config: Config) -> None:
    before = os.umask(0)
    try:
        blobs.put(config, CHUNKS)
    finally:
        os.umask(before)
    assert [os.stat(path).st_mode & 0o777 for path in (config.blobs_dir, os.path.join(config.blobs_dir, DIGEST))] == [0o700, 0o600]


def test_a_content_that_breaks_off_leaves_nothing(config: Config) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        blobs.put(config, chunks())
    assert os.listdir(config.blobs_dir) == []


def test_a_damaged_blob_is_told(config: Config) -> None:
    blobs.put(config, CHUNKS)
    Path(config.blobs_dir, DIGEST).write_bytes(b"other\n")
    with pytest.raises(TelemetryError, match="damaged"):
        list(blobs.lines(config, DIGEST))


def test_a_blob_that_is_gone_is_not_found(config: Config) -> None:
    with pytest.raises(NotFound, match=DIGEST):
        blobs.open_blob(config, DIGEST)


@pytest.mark.parametrize("name", ["", "../" + "a" * 61, "/etc/passwd", DIGEST.upper(), DIGEST + "0", "." * 64, "g" * 64])
def test_what_is_no_digest_is_refused(config: Config, name: str) -> None:
    blobs.put(config, CHUNKS)
    with pytest.raises(Refused):
        blobs.open_blob(config, name)


@pytest.mark.parametrize("plant", [os.symlink, os.link])
def test_links_are_refused(config: Config, tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    os.makedirs(config.blobs_dir)
    (tmp_path / "victim").write_text("secret")
    plant(tmp_path / "victim", Path(config.blobs_dir, DIGEST))
    with pytest.raises(Refused):
        blobs.open_blob(config, DIGEST)
