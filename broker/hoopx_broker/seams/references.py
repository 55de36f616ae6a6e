"""The seam to a store of secrets that values of the configuration refer to."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class SecretReader(Protocol):
    """A plugin of the entry point group `hoopx.references`, found by the scheme of a value: `vault:PATH#field`.

    It is made with the options of `section`, which the group `hoopx.sections` announces and the top of the file holds.
    """

    section: ClassVar[str]

    def __init__(self, options: Any) -> None: ...

    def read(self, reference: str) -> str:
        """The value behind what follows the colon; may wait for the network. Raises `BackendFailed` or `BadInput`."""
