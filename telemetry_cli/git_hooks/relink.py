"""Find what took the place of commits where git reported nothing: a server's squash, a reset and a new commit, `git filter-repo`.

By the map that filter-repo leaves; else by the change that a commit makes (the patch id: a difference without places and blanks), then
by its tree. A new commit may stand for one old commit, or for a whole line of them since it left the common history. What is not certain
stays unlinked, and is said. An old commit that a branch still reaches is linked too, but nothing took its place.
"""

import hashlib
import os
import stat
from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from telemetry_cli.discovery.git import log as history
from telemetry_cli.discovery.git.repository import Repository, is_sha

#: One finding: `commit_hash` (the new commit), `status` (linked or unlinked), `by` (map, patch or tree), `replaces` (old commits), `reason`.
Finding = dict[str, object]

_Graph = dict[str, list[str]]

#: Not what branches reach. The last two words are the HEADs of all work trees; stashes and other programs' refs keep commits that are given up.
_FROM_BRANCHES = ("--not", "--branches", "--remotes", "--tags", "--exclude=refs/*", "--all")
#: Two SHAs and what stands around them; a longer line is none of the map.
_LONGEST_LINE = 1024

#: The name of the tree without entries, by the length of names: SHA-1, SHA-256. git knows it without its being stored.
_EMPTY_TREES = {
    40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
#: Bytes of merge bases: far more than the parents of one history can have.
_MOST_ANSWER = 1 << 20


class Old(NamedTuple):
    """What the ledger and the repository say of commits whose runs are to be found again.

    `runs`: SHA → event ids of its runs; `known`: of every commit of the ledger, its runs and where a run first produced it; `living`: those
    that a branch still reaches.
    """

    runs: dict[str, list[str]]
    known: dict[str, tuple[set[str], int | None]]
    living: set[str]

    def is_done(self, old: str, new: str) -> bool:
        """Tell whether the new commit has the old one's runs already, and there is nothing to supersede."""
        return old in self.living and self.known.get(new, (set(), None))[0].issuperset(
            self.runs[old]
        )

    def may_become(self, old: str, new: str) -> bool:
        """Tell whether the new commit may stand for the old one: a commit that a run produced earlier does not."""
        since, until = self.known[old][1], self.known.get(new, (set(), None))[1]
        return since is None or until is None or since < until

    def is_listed(self, olds: list[str], new: str) -> bool:
        """Tell whether a doubt is worth telling: not where all has a run, and nothing is lost."""
        return self.known.get(new, (set(), None))[1] is None or any(
            old not in self.living for old in olds
        )


def findings(repository: Repository, old: Old, since: str | None, until: str) -> list[Finding]:
    """Match the commits in `since..until` with the old ones that are not in their history."""
    olds = (
        _parents(repository, "".join(f"{sha}\n" for sha in old.runs) + f"^{until}\n")
        if old.runs
        else {}
    )
    lost = [sha for sha in old.runs if sha in olds]
    lines = {tip: _line(tip, olds) for tip in lost}
    left = {tip: _left(line, olds) for tip, line in lines.items()}
    # What all of them are built upon took the place of none.
    common = _common(repository, set().union(*left.values())) if all(left.values()) else []
    news = _parents(
        repository,
        f"{until}\n" + "".join(f"^{sha}\n" for sha in (*common, *([since] if since else ()))),
    )
    candidates = [sha for sha in news if len(news[sha]) <= 1]
    if not lost or not candidates:
        return _settled([], old, lost)
    bases = {tip: _base(tip, olds) for tip in lost}
    alone = [(f"{_parent(tip, olds)} {tip}", tip) for tip in lost if len(olds[tip]) <= 1]
    whole = [(f"{base} {tip}", tip) for tip, base in bases.items()]
    made = [(f"{_parent(new, news)} {new}", new) for new in candidates]
    patches = _patches(repository, {question for question, _ in (*alone, *whole, *made)})
    trees = _trees(repository, [*lost, *candidates, *(_parent(new, news) for new in candidates)])
    matcher = _Matcher(old, lines, _Ancestors(news, left))
    for question, tip in alone:
        matcher.know("patch", patches.get(question), tip, [tip])
    for question, tip in whole:
        matcher.know("patch of all", patches.get(question), tip, lines[tip])
    for tip in lost:
        matcher.know("tree", trees.get(tip), tip, lines[tip])
    said = [
        matcher.match(
            new,
            {
                "patch": (patch := patches.get(question)),
                "patch of all": patch,
                "tree": _changed_tree(trees, new, _parent(new, news)),
            },
        )
        for question, new in made
    ]
    return _settled(
        [finding for finding in said if finding],
        old,
        [sha for sha in lost if sha not in matcher.doubted],
    )


def _changed_tree(trees: dict[str, str], new: str, parent: str) -> str | None:
    """A commit's tree, unless it is its parent's: a commit that changes nothing stands for none."""
    return trees.get(new) if trees.get(new) != trees.get(parent) else None


class _Matcher:
    """What is known of the old commits, and which new commit fits."""

    def __init__(self, old: Old, lines: dict[str, list[str]], ancestors: "_Ancestors") -> None:
        self._old = old
        self._lines = lines
        self._ancestors = ancestors
        self._known: dict[tuple[str, str], dict[str, list[str]]] = {}
        #: The old commits that a new one is like, and may not take the place of.
        self.doubted: set[str] = set()

    def know(self, kind: str, key: str | None, tip: str, replaced: list[str]) -> None:
        """An old commit, or the line that it ends, has this patch or tree."""
        if key:
            self._known.setdefault((kind, key), {})[tip] = [
                sha for sha in replaced if sha in self._old.runs
            ]

    def match(self, new: str, keys: dict[str, str | None]) -> Finding | None:
        """The first kind of likeness that any old commit has with the new one settles it."""
        for kind, key in keys.items():
            like = self._known.get((kind, key), {}) if key else {}
            found = {
                tip: replaced
                for tip, replaced in like.items()
                if self._old.may_become(tip, new) and not self._ancestors.has(tip, new)
            }
            # A line that goes on beyond another one says the same and more.
            tips = [
                tip
                for tip in found
                if kind == "patch"
                or not any(tip in self._lines[other] for other in found if other != tip)
            ]
            if not tips:
                continue
            replaced = [
                sha
                for sha in dict.fromkeys(sha for tip in tips for sha in found[tip])
                if not self._old.is_done(sha, new)
            ]
            if not replaced:
                return None
            if (
                len(
                    {
                        tuple(sorted({run for sha in found[tip] for run in self._old.runs[sha]}))
                        for tip in tips
                    }
                )
                > 1
            ):
                self.doubted.update(replaced)
                reason = f"ambiguous: {', '.join(tip[:10] for tip in sorted(tips))} are like it and belong to different runs"
                return _unlinked(new, reason) if self._old.is_listed(replaced, new) else None
            return _linked(new, kind.split()[0], replaced)
        return None


class _Ancestors:
    """Which of the new commits an old one is built upon: those did not take its place."""

    def __init__(self, news: _Graph, left: dict[str, set[str]]) -> None:
        self._news = news
        self._left = left
        self._behind: dict[str, set[str]] = {}

    def has(self, tip: str, new: str) -> bool:
        return any(new in self._from(sha) for sha in self._left[tip])

    def _from(self, sha: str) -> set[str]:
        if sha not in self._behind:
            self._behind[sha] = set(_line(sha, self._news))
        return self._behind[sha]


def _settled(said: list[Finding], old: Old, lost: list[str]) -> list[Finding]:
    """Leave an old commit unlinked that several new ones would take the place of; add those that nothing took the place of, and no branch reaches."""
    takers: dict[str, list[str]] = {}
    for finding in said:
        for sha in _replaced(finding):
            takers.setdefault(sha, []).append(str(finding["commit_hash"]))
    settled = []
    for finding in said:
        new, replaced = str(finding["commit_hash"]), _replaced(finding)
        rivals = sorted({taker for sha in replaced for taker in takers[sha] if taker != new})
        if not rivals or finding["status"] == "unlinked":
            settled.append(finding)
        elif old.is_listed(replaced, new):
            settled.append(
                _unlinked(
                    new,
                    f"ambiguous: {', '.join(rival[:10] for rival in rivals)} would take the same commit's place",
                )
            )
    return settled + [
        _unlinked(sha, "nothing took its place")
        for sha in lost
        if sha not in takers and sha not in old.living
    ]


def _replaced(finding: Finding) -> list[str]:
    replaces = finding["replaces"]
    assert isinstance(replaces, list)
    return replaces


def _unlinked(sha: str, reason: str) -> Finding:
    return {"commit_hash": sha, "status": "unlinked", "by": None, "replaces": [], "reason": reason}


def _linked(new: str, by: str, replaced: list[str]) -> Finding:
    return {"commit_hash": new, "status": "linked", "by": by, "replaces": replaced, "reason": None}


def missing(shas: Iterable[str]) -> list[Finding]:
    """Return the findings of commits that are in this repository no more."""
    return [
        _unlinked(
            sha,
            "its objects are gone (collected after its branch was deleted), so nothing can be compared with it",
        )
        for sha in shas
    ]


# The map of git filter-repo


def mapped(repository: Repository, old: Old, since: str | None, until: str | None) -> list[Finding]:
    """Match commits by the map that `git filter-repo` left: those that it says became another one of this repository (in `since..until`, if given)."""
    became = {
        sha: new
        for sha, new in _map(repository, old.runs)
        if sha != new and not old.is_done(sha, new)
    }
    there = known(repository, became.values())
    if until:
        there &= set(_parents(repository, f"{until}\n" + (f"^{since}\n" if since else "")))
    olds: dict[str, list[str]] = {}
    for sha, new in became.items():
        if new in there:
            olds.setdefault(new, []).append(sha)
    return [_linked(new, "map", replaced) for new, replaced in olds.items()]


def _map(repository: Repository, runs: Container[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs (old, new) of the map that speak of these commits; a commit that was dropped became 000…"""
    try:
        descriptor = os.open(
            os.path.join(repository.common_dir, "filter-repo", "commit-map"),
            os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK,
        )
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return
    with open(descriptor, "rb") as file:
        while line := file.readline(_LONGEST_LINE):
            words = line.decode("ascii", "replace").split()
            if len(words) == 2 and words[0] in runs and is_sha(words[1]):
                yield words[0], words[1]


# What git says


def known(repository: Repository, shas: Iterable[str]) -> set[str]:
    """Those of the SHAs that the repository has as commits."""
    question = "".join(f"{sha}\n" for sha in shas if is_sha(sha)).encode()
    lines = history.parts(
        history.stream(
            repository, "cat-file", "--batch-check=%(objectname) %(objecttype)", question=question
        ),
        b"\n",
    )
    return {line.split()[0].decode() for line in lines if line.endswith(b" commit")}


def living(repository: Repository, shas: set[str]) -> set[str]:
    """Those of the commits that a branch, a tag or the HEAD of a work tree still reaches."""
    return (
        shas - set(_parents(repository, "".join(f"{sha}\n" for sha in shas), *_FROM_BRANCHES))
        if shas
        else set()
    )


def _parents(repository: Repository, question: str, *options: str) -> _Graph:
    arguments = ("rev-list", "--topo-order", "--reverse", "--parents", "--stdin", *options)
    lines = history.parts(history.stream(repository, *arguments, question=question.encode()), b"\n")
    words = (line.decode("ascii").split() for line in lines if line)
    return {sha: parents for sha, *parents in words}


def _line(tip: str, graph: _Graph) -> list[str]:
    """A commit and all that it is built upon in this graph."""
    found: dict[str, None] = {}
    todo = [tip]
    while todo:
        sha = todo.pop()
        if sha in graph and sha not in found:
            found[sha] = None
            todo += graph[sha]
    return list(found)


def _left(line: list[str], olds: _Graph) -> set[str]:
    """Where a line of old commits left the new history; empty when they have nothing in common."""
    return {parent for sha in line for parent in olds[sha] if parent not in olds}


def _common(repository: Repository, shas: set[str]) -> list[str]:
    """The newest commits that all of these are built upon, or are."""
    if len(shas) < 2:
        return list(shas)
    # One that has nothing in common with the others is an answer too: no commit, and exit code 1.
    answer = history.answer(repository, "merge-base", "--octopus", *sorted(shas), most=_MOST_ANSWER)
    return answer.decode("ascii").split() if answer else []


def _base(tip: str, olds: _Graph) -> str:
    """Where the first-parent line of an old commit left the new history; the empty tree when they have none in common."""
    sha = tip
    while sha in olds:
        sha = _parent(sha, olds)
    return sha


def _parent(sha: str, graph: _Graph) -> str:
    """A commit's first parent; of a root, the empty tree."""
    return graph[sha][0] if graph[sha] else _EMPTY_TREES[len(sha)]


def _trees(repository: Repository, shas: list[str]) -> dict[str, str]:
    question = "".join(f"{sha}^{{tree}}\n" for sha in shas).encode()
    lines = history.parts(
        history.stream(repository, "cat-file", "--batch-check=%(objectname)", question=question),
        b"\n",
    )
    return {
        sha: line.decode("ascii", "replace")
        for sha, line in zip(shas, lines, strict=False)
        if line and not line.endswith(b" missing")
    }


def _patches(repository: Repository, questions: set[str]) -> dict[str, str]:
    """`base tip` → the patch id of their difference; those without a difference have none.

    `git patch-id` names one commit per patch, and a difference between two that are no neighbours has none: so it is summed here.
    """
    trees = _trees(
        repository, list(dict.fromkeys(sha for question in questions for sha in question.split()))
    )
    # diff-tree takes pairs of trees only; several questions may come to the same pair.
    asked: dict[str, list[str]] = {}
    for question in questions:
        base, tip = question.split()
        if base in trees and tip in trees and trees[base] != trees[tip]:
            asked.setdefault(f"{trees[base]} {trees[tip]}", []).append(question)
    options = (
        "-r",
        "-p",
        "--full-index",
        "--no-color",
        "--no-renames",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        "--ignore-submodules=none",
    )
    pieces = history.stream(
        repository,
        "diff-tree",
        "--stdin",
        *options,
        *history.NO_PROGRAMS,
        question="".join(f"{pair}\n" for pair in asked).encode(),
    )
    return {question: patch for pair, patch in _summed(pieces, asked) for question in asked[pair]}


def _summed(pieces: Iterator[bytes], asked: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    pair, digest, index = "", hashlib.sha1(usedforsecurity=False), b""
    for line in history.parts(pieces, b"\n"):
        named = line.decode("ascii", "replace") if len(line) in (81, 129) else ""
        if named in asked:
            if pair:
                yield pair, digest.hexdigest()
            pair, digest = named, hashlib.sha1(usedforsecurity=False)
        elif line.startswith(b"index "):
            index = line
        elif line and not line.startswith(b"@@"):
            # Of what is no text only the objects tell what it is.
            digest.update(
                b"".join((index + line if line.startswith(b"Binary files ") else line).split())
                + b"\n"
            )
    if pair:
        yield pair, digest.hexdigest()
