"""Errors a user can act on. Programming errors are not wrapped: they crash."""

from __future__ import annotations


class InputError(Exception):
    """Something the user gave cannot be used. The message names the file, row or field, what was expected and what to do."""


class ConfigurationError(InputError):
    """The configuration is not usable; raised before any work."""


class IncompleteError(Exception):
    """The run ended, but some of the input could not be used; the ledger says which."""
