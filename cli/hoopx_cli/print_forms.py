"""The forms in which `hoopx connect` prints ways in."""

from __future__ import annotations

from enum import Enum


class Print(Enum):
    """All of them, or one alone, for scripts."""

    ALL = "all"
    URL = "url"
    PSQL = "psql"
    JDBC = "jdbc"
    ENV = "env"
