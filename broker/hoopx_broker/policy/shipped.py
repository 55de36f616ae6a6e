"""Where the policies that come with hoopx are: beside the sources in a checkout, inside the package when installed."""

from __future__ import annotations

from pathlib import Path


def directory() -> Path:
    """The shipped policies with their schema and tests."""
    installed = Path(__file__).parent / "shipped"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "policies"
