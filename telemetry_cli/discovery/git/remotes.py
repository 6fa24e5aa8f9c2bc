"""Git remotes: a repository's name, and the web addresses of repositories and commits."""

_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}
#: Other names under which the same hosts answer ssh on the https port.
_ALIASES = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
    "www.github.com": "github.com",
}
_COMMIT_PATHS = {"github": "commit", "gitlab": "-/commit", "bitbucket": "commits"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-+")


def _split(url: str) -> tuple[str, str, str] | None:
    """(scheme, host[:port], path) of an https, http, ssh or git URL, or of `user@host:path`; None for anything else."""
    scheme, separator, rest = url.partition("://")
    if separator:
        authority, _, path = rest.partition("/")
    else:
        scheme = "ssh"
        authority, colon, path = url.partition(":")
        if not colon or "/" in authority:
            return None
    host = authority.rpartition("@")[2].lower()
    return (scheme.lower(), host, path.strip("/").removesuffix(".git").rstrip("/"))


def name(url: str) -> str | None:
    """The repository's name: the last part of its path, without `.git`."""
    split = _split(url)
    return (split[2] if split else url.rstrip("/").removesuffix(".git")).rpartition("/")[2] or None


def repo_url(remote: str | None, hosts: dict[str, str]) -> str | None:
    """The web address of a repository on a host whose addresses are known (`hosts`: further ones → style), else None."""
    known = _known(remote, hosts)
    return known[1] if known else None


def commit_url(remote: str | None, sha: str | None, hosts: dict[str, str]) -> str | None:
    """The web address of a commit, or None."""
    known = _known(remote, hosts)
    return f"{known[1]}/{_COMMIT_PATHS[known[0]]}/{sha}" if known and sha else None


def _known(remote: str | None, hosts: dict[str, str]) -> tuple[str, str] | None:
    """(style, web address)."""
    split = _split(remote) if remote else None
    if split is None or split[0] not in ("https", "http", "ssh", "git", "git+ssh", "ssh+git"):
        return None
    scheme, authority, path = split
    host, colon, port = authority.partition(":")
    host = _ALIASES.get(host, host)
    style = hosts.get(authority) or hosts.get(host) or _HOSTS.get(host)
    parts = path.split("/")
    if colon and not (port.isascii() and port.isdigit()):
        return None
    if (
        not style
        or len(parts) < 2
        or any(not part or part in (".", "..") or not _PLAIN.issuperset(part) for part in parts)
    ):
        return None
    # The port of an http remote is the web server's; that of an ssh remote is not.
    web = (
        f"{scheme}://{host}:{port}"
        if port and scheme in ("https", "http")
        else f"{'http' if scheme == 'http' else 'https'}://{host}"
    )
    return style, f"{web}/{path}"
