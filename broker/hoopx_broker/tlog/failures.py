"""How a log fails those who check it."""

from __future__ import annotations

from hoopx_broker.terms.errors import ExitCode, HoopxError


class BadNote(HoopxError):
    """A note that is malformed, or not signed by the key it was to be opened with."""

    # Bad input: what was given is at fault, never `unexpected`, which stands for a bug of ours.
    exit_code = ExitCode.USAGE


class BadProof(HoopxError):
    """A proof of inclusion or consistency that is malformed, or does not prove what it was given for."""

    exit_code = ExitCode.USAGE


class BadTile(HoopxError):
    """A tile or a bundle of entries that is not what its place in the log asks for."""

    exit_code = ExitCode.USAGE
