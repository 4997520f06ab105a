"""Passwords are hidden wherever a URL is shown, also in one that is misspelt."""

import pytest

from jobsim.core.masking import masked, masked_in


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('ulr = "postgresql://me:hunter2@host/jobs"', 'ulr = "postgresql://me:***@host/jobs"'),
        ("'postgresql:/me:hun ter2@host' is no id", "'postgresql:/me:***@host' is no id"),
        ("no 'postgresql://h/d?password=hunter2' at a@b", "no 'postgresql://h/d?password=*** at a@b"),
        ("password = 'hun ter2'  # mine", "password = ***  # mine"),
    ],
)
def test_a_password_is_hidden_within_a_text(text: str, shown: str) -> None:
    """An error that quotes what somebody wrote goes on after it, and is to be read."""
    assert masked_in(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///a:b@c.db was closed",
        "postgresql://me@host:5432/jobs cannot be reached",
        "'postgresql://me:***@host/jobs' is wrong; write postgresql://user@host/database",
        "postgresql://host:x/ is wrong; write postgresql://user@host/database",
        "     12 | tokens = { per_second = 2, key = 'a' }",
        "app:queue has no 'quee'; it is me@here",
    ],
)
def test_a_text_without_a_secret_is_left_alone(text: str) -> None:
    """What is not a password stays readable, be it beside a URL or an @."""
    assert masked_in(text) == text
