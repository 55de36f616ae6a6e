"""What one session does not see raw, and the plans that follow from it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from hoopx_broker.masking.detect import Detection
from hoopx_broker.masking.hidden import Hidden, hide
from hoopx_broker.masking.plan import Plan, counts_hidden, doubting, plan
from hoopx_broker.seams.judge import Circumstances
from hoopx_broker.seams.judge import Judge as Policy
from hoopx_broker.session.unmasked import Unmasked
from hoopx_broker.terms.catalog import Catalog
from hoopx_broker.terms.facts import StatementFacts
from hoopx_broker.terms.people import Principal
from hoopx_broker.terms.rulings import Ask, Deny
from hoopx_broker.terms.targets import ColumnName, Target

# A schema may have hundreds of columns; a person reads a line or two.
_NAMED = 10


class Sight(Struct, frozen=True):
    """The classified columns that are hidden, and what looks for the classes that detectors find in others."""

    hidden: Hidden | None = None
    look: Detection | None = None

    @property
    def columns(self) -> dict[ColumnName, str]:
        return self.hidden.columns if self.hidden is not None else {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Every class of which something is hidden."""
        return tuple(sorted({*self.columns.values(), *self.finds}))

    @property
    def finds(self) -> frozenset[str]:
        """The classes that are looked for."""
        return frozenset(self.look.names if self.look is not None else ())

    @property
    def doubt(self) -> Plan:
        """The plan for an answer whose statement is not known: all that may be hidden is."""
        return doubting(self.hidden, self.look)

    def plan(
        self, facts: Sequence[StatementFacts], run: Sequence[StatementFacts], *, is_turned: bool = False
    ) -> Plan | Deny:
        """`run` are the statements that EXECUTE and FETCH among `facts` stand for. See `masking.plan.plan`."""
        return plan(facts, self.hidden, run, self.look, is_turned=is_turned)

    def reveals(self, facts: Sequence[StatementFacts]) -> bool:
        """Would how many rows they touch tell of hidden values? Whoever asks would learn it before anybody agrees."""
        return self.hidden is not None and any(counts_hidden(statement, self.hidden) for statement in facts)


def sight(
    policy: Policy,
    who: Principal,
    target: Target,
    catalog: Catalog,
    unmasked: Unmasked = Unmasked(),
    before: Sight = Sight(),
) -> Sight:
    """What is hidden, but for what approvals show. From `before` is taken what takes long to make."""
    hidden = hide(unmasked.hidden(policy, who, target), catalog, target.masks)
    return Sight(hidden, _looking(policy, who, target, unmasked, before.look))


def _looking(
    policy: Policy, who: Principal, target: Target, unmasked: Unmasked, before: Detection | None
) -> Detection | None:
    masks = target.masks
    names = frozenset(detector.name for detector in masks.detectors)
    hidden = unmasked.hidden_classes(policy, who, target, names) if names else names
    if not hidden:
        return None
    if before is not None and frozenset(before.names) == hidden:
        return before
    return Detection([each for each in masks.detectors if each.name in hidden], masks.shapes, masks.key_bytes)


def introduction(policy: Policy, who: Principal, target: Target, seen: Sight, now: Circumstances) -> tuple[str, str]:
    """Text and hint of the NOTICE that tells people, once in a session, what is masked and how to ask to see it."""
    found = seen.look.names if seen.look is not None else ()
    parts = [f"the columns {_listed(seen.columns)} and what is made of them"] if seen.columns else []
    parts += [f"what looks like {_listed(found)}"] if found else []
    text = f"hoopx masks here what you may not see raw: {'; '.join(parts)}"
    if isinstance(policy.unmasking(who, target, seen.classes, now), Ask):
        command = f"hoopx request {target.name} --unmask {','.join(seen.classes)} --for 30m"
        return text, f"ask to see it for a while: {command}"
    return text, "whoever keeps the policies of hoopx decides who sees it"


def _listed(names: Sequence[str] | dict[ColumnName, str]) -> str:
    listed = [str(name) for name in names]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
