"""What must never be written: credentials are taken out of values before they reach the journal."""


def remote_without_credentials(url: str) -> str:
    """A git remote without user and password. An ssh user is kept (`git@`): it is part of the address, not a secret.

    A query or fragment goes too: some hosts take tokens there.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        user, at, address = url.rpartition("@")
        return address if at and ":" in user else url
    authority, slash, path = rest.partition("/")
    port = authority.rpartition("@")[2].partition(":")[2]
    if port and not port.isdigit() and "@" in path:
        # A password with an unescaped slash: what looks like a host is still the credentials.
        authority, slash, path = rest.rpartition("@")[2].partition("/")
    user, at, host = authority.rpartition("@")
    if at and scheme.lower() in ("ssh", "git+ssh", "ssh+git"):
        authority = f"{user.partition(':')[0]}@{host}"
    elif at:
        authority = host
    return f"{scheme}://{authority}{slash}{path.partition('?')[0].partition('#')[0]}"
