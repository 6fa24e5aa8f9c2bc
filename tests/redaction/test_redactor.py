"""Credentials never get into a value that is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_cli.redaction.redactor import remote_without_credentials

secrets = st.text(
    "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-._~!$&'()*+,;=%", min_size=8, max_size=40
).map("s3cr3t".__add__)


@given(st.sampled_from(["https", "http", "HTTPS", "git", "ftp"]), secrets, secrets, st.booleans())
def test_user_and_password_of_an_address_are_gone(
    scheme: str, user: str, password: str, both: bool
) -> None:
    credentials = f"{user}:{password}" if both else user
    assert (
        remote_without_credentials(f"{scheme}://{credentials}@example.org/o/r.git")
        == f"{scheme}://example.org/o/r.git"
    )


@given(secrets, st.sampled_from(["ssh", "git+ssh", "ssh+git"]))
def test_the_user_of_an_ssh_address_stays_and_its_password_goes(password: str, scheme: str) -> None:
    assert (
        remote_without_credentials(f"{scheme}://git:{password}@example.org:2222/o/r.git")
        == f"{scheme}://git@example.org:2222/o/r.git"
    )


@given(secrets, st.sampled_from("?#"))
def test_tokens_behind_the_path_are_gone(token: str, mark: str) -> None:
    assert (
        remote_without_credentials(f"https://example.org/o/r.git{mark}private_token={token}")
        == "https://example.org/o/r.git"
    )


@given(st.sampled_from("/@:#?"), secrets)
def test_a_password_with_an_unescaped_mark_in_it_does_not_show(mark: str, secret: str) -> None:
    assert "s3cr3t" not in remote_without_credentials(
        f"https://user:{secret}{mark}{secret}@example.org/o/r.git"
    )


@given(st.text(max_size=60))
def test_cleaning_twice_is_cleaning_once(url: str) -> None:
    once = remote_without_credentials(url)
    assert remote_without_credentials(once) == once


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:o/r.git", "github.com:o/r", "https://github.com/o/r.git", "ssh://git@github.com/o/r", "ssh://git@github.com:22/o/r", "/srv/git/r.git",
        "../r.git", "file:///srv/git/r.git", "https://[::1]:8443/o/r.git", "https://example.org:8443/o/r.git", "C:/repos/r.git", "https://example.org/o/@scope/r.git",
        "file:///srv/a@b",
    ],
)  # fmt: skip
def test_addresses_without_credentials_stay_as_they_are(url: str) -> None:
    assert remote_without_credentials(url) == url


@pytest.mark.parametrize(
    "url", ["user:s3cr3t@example.org:o/r.git", "user:s3cr3t@example.org/o/r.git"]
)
def test_credentials_without_a_scheme_are_gone(url: str) -> None:
    assert "s3cr3t" not in remote_without_credentials(url)
