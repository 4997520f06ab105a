"""Secrets in what people wrote, hidden before it is shown: in errors, reports and representations."""

import re
from typing import Final

_USER: Final = re.compile(r"\A(\s*(?:[\w+.-]*://)?[^:@/?\s]*):(?!//).*@", re.DOTALL)
"""A user and a password: up to the last @, since one that should have been written %40 is a part of it."""

_SETTING: Final = re.compile(
    r"([\w-]*(?:pass|secret|token|key)[\w-]*\s*=\s*)('(?:[^'\\]|\\.)*'?|[^&\s]*)", re.IGNORECASE
)

_IN_TEXT: Final = re.compile(r"""(\w[\w+.-]*:/{1,2}(?!/)[^:@/?\s'"]*):(?=\S)(?:\S*|[^'"/\n]*)@""")
"""The same in a text that goes on after it, where another @ may stand, and quotes around it."""

_SETTING_IN_TEXT: Final = re.compile(
    r"""((?:[?&][\w-]*(?:pass|token|key)|\b[\w-]*(?:passw|secret))[\w-]*\s*=\s*)('[^'\n]*'|"[^"\n]*"|[^&\s]*)""",
    re.IGNORECASE,
)


def masked(url: str) -> str:
    """Return a URL, or what was taken for one, without a password: neither before the host nor as an option.

    It rather hides too much: of a misspelt URL nobody knows where the password ends.
    """
    return _SETTING.sub(r"\1***", _USER.sub(r"\1:***@", url))


def masked_in(text: str) -> str:
    """Return a text for people, such as an error that quotes a file, without the passwords of URLs in it."""
    return _SETTING_IN_TEXT.sub(r"\1***", _IN_TEXT.sub(r"\1:***@", text))
