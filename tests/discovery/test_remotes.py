"""Remotes: the name, the web addresses, and that no password ever gets through."""

import string
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import Git, Telemetry

from telemetry_cli.discovery.git import remotes
from telemetry_cli.redaction.redactor import remote_without_credentials

SHA = "0123456789abcdef0123456789abcdef01234567"
MAPPED = {
    "git.acme.example": "gitlab",
    "code.acme.example:8443": "github",
    "bb.acme.example": "bitbucket",
}
FORMS = [
    "https://{host}/{path}", "https://{host}/{path}.git", "https://{host}/{path}/", "https://{host}/{path}.git/", "https://user@{host}/{path}.git",
    "https://user:token@{host}/{path}.git", "git@{host}:{path}", "git@{host}:{path}.git", "{host}:{path}.git", "git@{host}:/{path}.git",
    "ssh://git@{host}/{path}.git", "ssh://git@{host}:22/{path}.git", "ssh://git@{host}:2222/{path}", "git+ssh://git@{host}/{path}.git",
    "git://{host}/{path}.git", "HTTPS://{host}/{path}.git", "ssh://git:secret@{host}/{path}.git",
]  # fmt: skip
PLACES = [
    ("github.com", "acme/tool", "https://github.com/acme/tool", "/commit/"),
    ("GitHub.com", "Acme/Tool.py", "https://github.com/Acme/Tool.py", "/commit/"),
    ("gitlab.com", "acme/tool", "https://gitlab.com/acme/tool", "/-/commit/"),
    ("gitlab.com", "acme/sub/group/tool", "https://gitlab.com/acme/sub/group/tool", "/-/commit/"),
    ("bitbucket.org", "acme/tool", "https://bitbucket.org/acme/tool", "/commits/"),
    ("git.acme.example", "a/b/c", "https://git.acme.example/a/b/c", "/-/commit/"),
    ("bb.acme.example", "a/b", "https://bb.acme.example/a/b", "/commits/"),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("host", "path", "web", "commits"), PLACES)
def test_web_addresses(form: str, host: str, path: str, web: str, commits: str) -> None:
    for remote in (url := form.format(host=host, path=path), remote_without_credentials(url)):
        assert remotes.repo_url(remote, MAPPED) == web
        assert remotes.commit_url(remote, SHA, MAPPED) == f"{web}{commits}{SHA}"
        assert remotes.name(remote) == path.rpartition("/")[2]


@pytest.mark.parametrize(
    ("remote", "web"),
    [
        ("ssh://git@ssh.github.com:443/acme/tool.git", "https://github.com/acme/tool"),
        ("ssh://git@altssh.gitlab.com:443/acme/tool.git", "https://gitlab.com/acme/tool"),
        ("ssh://git@altssh.bitbucket.org:443/acme/tool.git", "https://bitbucket.org/acme/tool"),
        ("https://code.acme.example:8443/a/b.git", "https://code.acme.example:8443/a/b"),
        ("https://git.acme.example:8080/a/b.git", "https://git.acme.example:8080/a/b"),
        ("http://git.acme.example:8080/a/b.git", "http://git.acme.example:8080/a/b"),
        ("ssh://git@git.acme.example:8022/a/b.git", "https://git.acme.example/a/b"),
    ],
)
def test_ports(remote: str, web: str) -> None:
    assert remotes.repo_url(remote, MAPPED) == web


@pytest.mark.parametrize("remote", [None, "", "https://github.com/acme/tool.git"])
def test_no_commit_no_address(remote: str | None) -> None:
    assert remotes.commit_url(remote, None, {}) is None


HOSTILE = [
    "https://example.org/acme/tool.git", "https://github.com.evil.example/a/b", "https://evil.example/github.com/a", "https://github.com@evil.example/a/b",
    "git@evil.example:github.com/a/b", "https://github.com/", "https://github.com/acme", "https://github.com/acme/..", "https://github.com/../acme/tool",
    "https://github.com/acme/tool\"><script>", "https://github.com/acme/to ol", "https://github.com/acme/tool\nHost: x", "https://github.com/acme/\x1b[31mtool",
    "https://github.com/acme/\u202etool", "https://github.com/acme//tool", "https://github.com/acme/%2e%2e/tool", "javascript://github.com/acme/tool",
    "file:///github.com/acme/tool", "file://github.com/acme/tool", "ext::sh -c touch% /tmp/x", "/srv/github.com/acme/tool.git", "../github.com/acme/tool",
    "C:\\github.com\\acme\\tool", "github.com", "github.com:", ":acme/tool", "@github.com", "https://", "://", "https://github.com:evil/acme/tool",
    "https://github.com\\@evil.example/acme/tool", "https://github.com:443:80/acme/tool", "-oProxyCommand=x", "https://[::1]/acme/tool",
]  # fmt: skip


@pytest.mark.parametrize("remote", HOSTILE)
def test_other_remotes_have_no_address(remote: str) -> None:
    assert remotes.repo_url(remote, {}) is None
    assert remotes.commit_url(remote, SHA, {}) is None


@given(st.text(), st.text())
def test_any_text_gives_an_address_on_a_known_host_or_none(one: str, two: str) -> None:
    for remote in (
        one,
        f"https://github.com/{one}",
        f"https://{one}github.com/{two}",
        f"git@{one}:{two}",
        f"{one}://github.com/{two}",
    ):
        url = remotes.repo_url(remote, {})
        assert url is None or url.startswith(
            (
                "https://github.com/",
                "https://gitlab.com/",
                "https://bitbucket.org/",
                "http://github.com/",
            )
        )
        assert url is None or url.isascii()
        remotes.name(remote)
        remote_without_credentials(remote)


# Credentials

#: What may stand in a URL's user and password as it is (RFC 3986), and what people put there all the same.
SECRETS = st.text(
    alphabet=string.ascii_letters + string.digits + "-._~!$&'()*+,;=%@[]|^:",
    min_size=1,
    max_size=20,
).map(lambda text: f"Zq{text}qZ")
#: With these it cannot be told any more where the secret ends.
UNCLEAR = st.text(alphabet=string.ascii_letters + "@?#/:=", min_size=1, max_size=20).map(
    lambda text: f"Zq{text}qZ"
)
HOSTS = st.sampled_from(["github.com", "host.example:8443", "10.0.0.1", "[::1]:22"])
PATHS = st.sampled_from(["/acme/tool.git", "/a/b/c", "/@scope/pkg", "/", ""])


@given(
    st.sampled_from(["https", "http", "HTTPS", "ftp", "git+https", "gcrypt::https"]),
    SECRETS,
    SECRETS,
    HOSTS,
    PATHS,
)
@example("https", "Zq", "Zq:1", "github.com", "/@scope/pkg")
@example("https", "Zq", "1@2Zq", "github.com", "")
def test_neither_user_nor_password_survives(
    scheme: str, user: str, password: str, host: str, path: str
) -> None:
    kept = remote_without_credentials(f"{scheme}://{user}:{password}@{host}{path}")
    assert kept == f"{scheme}://{host}{path}"
    assert (
        remote_without_credentials(f"{scheme}://{quote(user, safe='')}@{host}{path}")
        == f"{scheme}://{host}{path}"
    )


@given(SECRETS, HOSTS, PATHS)
def test_an_ssh_user_stays_and_its_password_goes(password: str, host: str, path: str) -> None:
    assert (
        remote_without_credentials(f"ssh://git:{password}@{host}{path}")
        == f"ssh://git@{host}{path}"
    )
    assert remote_without_credentials(f"ssh://git@{host}{path}") == f"ssh://git@{host}{path}"


@given(st.sampled_from(["/", "a/", "a/b/", "1a/", "/2/"]), SECRETS, PATHS)
def test_a_password_with_a_slash(start: str, password: str, path: str) -> None:
    # Digits before the slash are left out: nothing tells them from a port.
    assert "Zq" not in remote_without_credentials(
        f"https://user:{start}{password}@host.example{path}"
    )


@given(
    SECRETS.filter(lambda secret: "@" not in secret),
    PATHS,
    st.sampled_from(["?access_token=", "#", "?a=b&private_token="]),
)
def test_a_token_in_a_query(secret: str, path: str, query: str) -> None:
    assert (
        remote_without_credentials(f"https://host.example{path}{query}{secret}")
        == f"https://host.example{path}"
    )


@example("https://user:{}@host.example/x", "a@b/qZ")
@example("ssh://git:{}@host.example/x", "a@b:22/qZ")
@given(
    st.sampled_from(
        [
            "https://user:{}@host.example/x",
            "ssh://git:{}@host.example/x",
            "https://host.example?token={}",
            "https://host.example/x?token={}",
        ]
    ),
    UNCLEAR,
)
def test_a_secret_that_ends_nobody_knows_where(url: str, secret: str) -> None:
    kept = remote_without_credentials(url.format(secret))
    assert "qZ" not in kept
    assert kept == "" or kept.startswith(url.partition("://")[0])


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("git@github.com:acme/tool.git", "git@github.com:acme/tool.git"),
        ("user:secret@host:acme/tool.git", "host:acme/tool.git"),
        ("git@host.example:acme/tool@v2.git", "git@host.example:acme/tool@v2.git"),
        ("/srv/git/a:b@c/tool.git", "/srv/git/a:b@c/tool.git"),
        ("../tool.git", "../tool.git"),
        ("file:///srv/git/tool.git", "file:///srv/git/tool.git"),
        ("https://host.example/acme/tool@v2.git", "https://host.example/acme/tool@v2.git"),
        (
            "https://host.example:8443/acme/tool@v2.git",
            "https://host.example:8443/acme/tool@v2.git",
        ),
    ],
)
def test_what_is_no_credential_stays(url: str, kept: str) -> None:
    assert remote_without_credentials(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "https://{0}:{0}@github.com/acme/tool",
        "https://{0}@github.com/acme/tool.git",
        "ssh://git:{0}@github.com/acme/tool",
        "{0}:{0}@github.com:acme/tool",
    ],
)
def test_no_byte_of_a_secret_is_written(
    url: str, telemetry: Telemetry, make_git: Callable[..., Git]
) -> None:
    git, secret = make_git(), "ghp_Zq0123456789Zq"
    sha = git.commit()
    git("remote", "add", "origin", url.format(secret))
    shown = telemetry(
        "run", "start", "--agent-name", "a", "--job-type", "j", "-o", "json", cwd=git.path
    )
    telemetry(
        "run",
        "start",
        "--agent-name",
        "a",
        "--job-type",
        "j",
        "--no-git",
        "--git-repo",
        url.format(secret),
    )
    telemetry("run", "update", "@last", "--git-repo", url.format(secret))
    associated = telemetry("associate-commit", "@last", cwd=git.path)
    listed = (
        telemetry("query", "-o", "json"),
        telemetry("commits", "@last", "-o", "json"),
        telemetry("repo-url", "@last"),
        telemetry("commit-url", "@last"),
    )
    assert listed[3].line == f"https://github.com/acme/tool/commit/{sha}"
    assert all(secret not in ran.out + ran.err for ran in (shown, associated, *listed))
    assert [
        path for path in files_below(telemetry.base) if secret.encode() in path.read_bytes()
    ] == []


def files_below(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return files
