"""What happens in the control plane: each event is a leaf of the broker's log."""

from __future__ import annotations

from msgspec import Struct, field


class Event(Struct, frozen=True, omit_defaults=True):
    """One thing that happened, as it is put into the log: JSON with sorted keys, never with a secret.

    `type` is `subject.done`, as `session.sealed`; docs/evidence.md lists all. `id` is a random one, so that nobody can
    guess a leaf from its hash. `at` is seconds since the Unix epoch. `by` did it, an agent `on_behalf_of` a human;
    where `by` is empty the broker did. What else there is to know stands in `facts`.
    """

    id: str
    at: float
    type: str
    by: str = ""
    on_behalf_of: str = ""
    target: str = ""
    session: str = ""
    request: str = ""
    lease: str = ""
    facts: dict[str, str | int | float | bool | tuple[str, ...]] = field(default_factory=dict)
