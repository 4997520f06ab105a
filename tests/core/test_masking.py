"""Passwords are hidden wherever a URL is shown, also in one that is misspelt."""

import pytest

from jobsim.core.masking import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@host/jobs", "postgresql://me:***@host/jobs"),
        ("postgresql://:hunter2@host/jobs", "postgresql://:***@host/jobs"),
        ("postgresql://me:a@b:c/hunter2@host/jobs", "postgresql://me:***@host/jobs"),
        ("postgresql://me:a?hunter2@host/jobs", "postgresql://me:***@host/jobs"),
        ("postgresq:me:hunter2@host", "postgresq:***@host"),
        ("me:hunter2@host", "me:***@host"),
        ("postgresql://h/jobs?user=me&password=hunter2&a=b", "postgresql://h/jobs?user=me&password=***&a=b"),
        ("postgresql://h/jobs?sslpassword=hunter2", "postgresql://h/jobs?sslpassword=***"),
        ("host=h password = 'hun ter2' dbname=d", "host=h password = *** dbname=d"),
        ("host=h password='hun ter2", "host=h password=***"),
    ],
)
def test_a_password_is_hidden(url: str, shown: str) -> None:
    """Up to the last @, and in every option that may hold a secret."""
    assert masked(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///a:b@c.db",
        "sqlite:////var/jobs.db?durability=normal",
        "postgresql://me@host:5432/jobs",
        "app:queue",
        "",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(url: str) -> None:
    """Paths, hosts, ports and users are what people look for in an error."""
    assert masked(url) == url
