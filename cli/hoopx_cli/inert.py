"""Text from elsewhere made harmless on a terminal; one way of doing it for the command line and for recordings."""

from __future__ import annotations

from hoopx_broker.recording.inert import inert, inert_lines, width

__all__ = ["inert", "inert_lines", "width"]
