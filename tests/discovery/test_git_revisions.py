"""What a revision means: every form that git itself resolves, and the objects that are no commit."""

import hashlib
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import git as gitpython
import pytest
from support import Git

from telemetry_cli.discovery.git import repository as discovery

Make = Callable[..., Git]


@pytest.fixture
def git(make_git: Make) -> Git:
    """Three commits on two branches, tags of both kinds, a blob and a tree."""
    git = make_git()
    (git.path / "file").write_text("content\n")
    git("add", "file")
    for message in ("first of all", "second step", "third"):
        git.commit(message)
    git("tag", "light", "HEAD~1")
    git("tag", "-a", "annotated", "-m", "tagged", "HEAD~2")
    git("tag", "-a", "twice", "-m", "tag of a tag", "annotated")
    git("branch", "topic/one", "HEAD~1")
    git("update-ref", "refs/remotes/origin/main", "HEAD~1")
    return git


def found(git: Git) -> discovery.Repository:
    repository = discovery.find(str(git.path))
    assert repository
    return repository


FORMS = [
    "HEAD", "HEAD~1", "HEAD^", "@", "main", "topic/one", "refs/heads/topic/one", "origin/main", "light", "annotated", "twice",
    "annotated^{}", "annotated^{commit}", "HEAD@{1}", "main@{2}", "HEAD^{/first}",
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_revisions_mean_what_gitpython_says(packed: bool, git: Git) -> None:
    if packed:
        git("repack", "-a", "-d", "--quiet")
        git("pack-refs", "--all")
    with gitpython.Repo(git.path) as repo:
        expected = {
            form: repo.commit(form).hexsha for form in FORMS if not form.startswith("HEAD^{/")
        }
    expected["HEAD^{/first}"] = git("rev-parse", "HEAD~2")
    assert {
        form: commit and commit.sha
        for form in FORMS
        for commit in [discovery.look_up(found(git), form)[0]]
    } == expected


@pytest.mark.parametrize("revision", [":/first", ":/second step", "HEAD^{/second step}"])
def test_search_by_message(revision: str, git: Git) -> None:
    commit = discovery.look_up(found(git), revision)[0]
    assert commit
    assert commit.sha == git("rev-parse", "--verify", revision)


@pytest.mark.parametrize("digits", [4, 7, 12, 39, 40])
def test_abbreviations(digits: int, git: Git) -> None:
    sha = git("rev-parse", "HEAD~1")
    for form in (sha[:digits], sha[:digits].upper()):
        commit = discovery.look_up(found(git), form)[0]
        assert commit
        assert commit.sha == sha
        assert discovery.look_up(found(git), form)[1]


@pytest.mark.parametrize(
    "revision",
    [
        "HEAD^{tree}",
        "HEAD:file",
        "HEAD:",
        "nothing",
        "",
        "HEAD~9",
        "main..topic/one",
        "^HEAD",
        "--all",
        "-h",
        "a" * 10000,
    ],
)
def test_no_commit(revision: str, git: Git) -> None:
    assert discovery.look_up(found(git), revision)[0] is None


def test_objects_that_are_no_commit_are_known(git: Git) -> None:
    for form in ("HEAD^{tree}", "HEAD:file", "annotated"):
        assert discovery.look_up(found(git), git("rev-parse", form))[1]
    assert not discovery.look_up(found(git), "0" * 39 + "1")[1]
    assert not discovery.look_up(found(git), "1234567")[1]


def test_an_ambiguous_abbreviation_is_known_and_no_commit(git: Git) -> None:
    one, two = colliding_blobs()
    for content in (one, two):
        (git.path / "blob").write_bytes(content)
        git("hash-object", "-w", "blob")
    prefix = blob_sha(one)[:7]
    assert discovery.look_up(found(git), prefix)[0] is None
    assert discovery.look_up(found(git), prefix)[1]


def blob_sha(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def colliding_blobs() -> tuple[bytes, bytes]:
    """Two blobs whose SHAs share their first seven digits."""
    seen: dict[str, bytes] = {}
    for number in count():
        content = b"%d" % number
        prefix = blob_sha(content)[:7]
        if prefix in seen:
            return seen[prefix], content
        seen[prefix] = content
    raise AssertionError


# Commit objects as only a tool, or an enemy, writes them


def written(
    git: Git,
    header: bytes,
    author: bytes = b"Ada <ada@example.org> 1 +0000",
    committer: bytes = b"Ada <ada@example.org> 1767315845 +0200",
) -> discovery.Commit:
    """Make a commit object with these lines the HEAD, and read it."""
    content = b"tree %s\nauthor %s\ncommitter %s\n%s\nmessage\n" % (
        git("rev-parse", "HEAD^{tree}").encode(),
        author,
        committer,
        header,
    )
    file = git.path / "object"
    file.write_bytes(content)
    sha = git("hash-object", "-t", "commit", "-w", "--literally", str(file))
    (git.path / ".git/HEAD").write_text(sha + "\n")
    commit = discovery.head(found(git))
    assert commit
    assert commit.sha == sha
    return commit


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        (b"Ada <ada@example.org> 1 +0000", "Ada <ada@example.org>"),
        (b"<> 1 +0000", "<>"),
        (b" <a@b> 1 +0000", "<a@b>"),
        (b"A > B <a@b> 1 +0000", "A > B <a@b>"),
        ("Zoë 日本 <z@b> 1 +0000".encode(), "Zoë 日本 <z@b>"),
        (b"B\xff <a@b> 1 +0000", "B\ufffd <a@b>"),
        (b"\"Q\" 'q' \\ [red] <a@b> 1 +0000", "\"Q\" 'q' \\ [red] <a@b>"),
    ],
)
def test_odd_authors(author: bytes, expected: str, git: Git) -> None:
    commit = written(git, b"", author)
    assert (commit.author or "").strip() == expected


def test_an_author_in_latin_1(git: Git) -> None:
    assert (
        written(git, b"encoding ISO-8859-1\n", "Zoë <z@b> 1 +0000".encode("latin-1")).author
        == "Zoë <z@b>"
    )


@pytest.mark.parametrize(
    "encoding",
    [
        b"nonsense",
        b"hex",
        b"idna",
        b"undefined",
        b"unicode_escape",
        b"utf-7",
        b"utf-16",
        b"a\0b",
        b"\xff",
        b"",
        b"x" * 5000,
    ],
)
def test_odd_encodings_give_text_that_can_be_stored(encoding: bytes, git: Git) -> None:
    commit = written(
        git, b"encoding " + encoding + b"\n", rb"Ada +2AA- \ud800 \x00 <ada@example.org> 1 +0000"
    )
    assert commit.timestamp == "2026-01-02T01:04:05+00:00"
    if commit.author is not None:
        commit.author.encode()
        assert "\0" not in commit.author


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (b"0", "1970-01-01T00:00:00+00:00"),
        (b"-1", "1969-12-31T23:59:59+00:00"),
        (b"4102444800", "2100-01-01T00:00:00+00:00"),
        (b"99999999999999", None),
        (b"-99999999999999", None),
        (b"18446744073709551616", None),
        (b"9" * 5000, None),
        (b"noon", None),
    ],
)
def test_times_beyond_the_calendar_are_null(seconds: bytes, expected: str | None, git: Git) -> None:
    commit = written(git, b"", committer=b"Ada <ada@example.org> " + seconds + b" +0000")
    assert commit.timestamp == expected


def test_a_signed_commit(git: Git) -> None:
    signature = b"gpgsig -----BEGIN PGP SIGNATURE-----\n author Eve <eve@example.org> 9 +0000\n -----END PGP SIGNATURE-----\n"
    assert written(git, signature).author == "Ada <ada@example.org>"


def test_without_git_the_commit_is_read_where_it_lies_loose(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha, author = git("rev-parse", "HEAD"), "Ada Lovelace <ada@example.org>"
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    head = discovery.head(found(git))
    assert head
    assert (head.sha, head.author) == (sha, author)
    assert discovery.look_up(found(git), "HEAD~1")[0] is None
    assert not discovery.look_up(found(git), "HEAD~1")[1]


def test_without_git_a_packed_commit_is_known_by_its_sha(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = git("rev-parse", "HEAD")
    git("gc", "--quiet")
    git("pack-refs", "--all")
    monkeypatch.setenv("PATH", os.devnull)
    head = discovery.head(found(git))
    assert head
    assert (head.sha, head.author, head.timestamp) == (sha, None, None)
