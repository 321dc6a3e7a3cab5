"""User names and passwords: from the environment or from netrc, never from a configuration, never into a log."""

from __future__ import annotations

import netrc
import os
from pathlib import Path

from weakbox.records.errors import ConfigurationError


def credentials_for(host: str, user_variable: str, password_variable: str) -> tuple[str, str] | None:
    """User and password of a host: both variables, or the entry of ``$NETRC`` or ``~/.netrc``; ``None`` where there is neither.

    Raises:
        ConfigurationError: one variable without the other, or a netrc file that cannot be read.
    """
    user, password = os.environ.get(user_variable, ""), os.environ.get(password_variable, "")
    if bool(user) != bool(password):
        msg = f"only one of {user_variable} and {password_variable} is set; both are needed"
        raise ConfigurationError(msg)
    if user:
        return user, password
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not path.is_file():
        return None
    try:
        found = netrc.netrc(str(path)).authenticators(host)
    except netrc.NetrcParseError as error:
        msg = f"{path}: line {error.lineno} cannot be read as netrc"
        raise ConfigurationError(msg) from None  # the cause quotes the line
    return (found[0], found[2]) if found and found[0] and found[2] else None
