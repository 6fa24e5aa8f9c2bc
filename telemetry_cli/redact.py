"""What must never be written: credentials are taken out of values before they reach the journal."""


def remote_without_credentials(url: str) -> str:
    """A git remote without user and password. An ssh user is kept (`git@`): it is part of the address, not a secret.

    A query or fragment goes too: some hosts take tokens there. Empty when an unescaped character leaves open where the
    secret ends: better no address than a part of it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _scp_without_credentials(url)
    authority, slash, path = rest.partition("/")
    address = _without_query(authority)
    user, at, host = address.rpartition("@")
    _, colon, port = host.rpartition("]")[2].partition(":")
    if "@" in rest[len(address) :] and (address != authority or (colon and not port.isdigit())):
        return ""
    kept = f"{user.partition(':')[0]}@" if at and scheme.lower() in ("ssh", "git+ssh", "ssh+git") else ""
    return f"{scheme}://{kept}{host}{slash + _without_query(path) if address == authority else ''}"


def _without_query(text: str) -> str:
    return text.partition("?")[0].partition("#")[0]


def _scp_without_credentials(url: str) -> str:
    """`[user@]host:path`, or a local path, which has a slash before its first colon."""
    before, _, after = url.partition(":")
    secret, at, address = after.partition("@")
    if "/" not in before and "@" not in before and at and "/" not in secret and (":" in address or "/" in address):
        return address
    return url
