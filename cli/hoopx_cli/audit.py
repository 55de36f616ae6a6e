"""`hoopx audit`: what proves what happened, and how long it is kept."""

from __future__ import annotations

from hoopx_cli.commands import group

app = group("Example: hoopx audit holds")
audit = group("Example: hoopx audit holds\n\nKeep evidence, and delete what is over its time.")
app.add_typer(audit, name="audit")

from hoopx_cli import audit_keep  # noqa: E402, F401 -- its commands belong to this noun
