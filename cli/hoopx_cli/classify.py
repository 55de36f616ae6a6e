"""`hoopx classify`: look at samples of a target's columns, and propose which classes of data they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from hoopx_broker.api.messages import Open
from hoopx_broker.terms.errors import BadInput
from hoopx_broker.terms.masks import Detector
from hoopx_cli.broker import demanding_extra
from hoopx_cli.commands import YAML, group
from hoopx_cli.connect import For, Reason, Request, Ticket, Wait
from hoopx_cli.durations import seconds_of
from hoopx_cli.kit import Kit
from hoopx_cli.output import Form
from hoopx_cli.places import Argument, Option

if TYPE_CHECKING:
    from hoopx_cli.front import AnyHeld
    from hoopx_cli.survey import Survey

app = group("Example: hoopx classify prod-db")

# More of a table tells nothing new, and all of it goes through the broker and into the recording.
MAX_ROWS = 10_000


@app.command(YAML)
def classify(
    kit: Kit,
    target: Annotated[str, Argument(metavar="TARGET", help="A target's name, as `hoopx ls` lists it.")],
    schema: Annotated[str, Option(metavar="NAME", help="Look at this schema only.")] = "",
    sample: Annotated[int, Option(metavar="ROWS", help="How many rows of each table to look at.")] = 200,
    reason: Reason = "",
    ticket: Ticket = "",
    for_: For = "",
    wait: Wait = "",
    request: Request = "",
) -> int:
    """Example: hoopx classify prod-db >> classes.yaml

    Propose which columns of a target hold personal data. It opens a session, reads a few rows of each table that you
    may read, and prints a block `classify:` for the target's section in hoopx.yaml, with the reason beside each line.
    What it reads is judged, masked and recorded like any statement of yours; it prints and keeps no value itself.
    """
    if not 1 <= sample <= MAX_ROWS:
        raise BadInput(f"--sample {sample} is no number of rows", f"give one from 1 to {MAX_ROWS}")
    # PostgreSQL's client library and RE2 are no part of what a laptop needs otherwise.
    with demanding_extra():
        from hoopx_broker.masking.detect import classes_in
        from hoopx_broker.masking.detectors import BUILT_IN
        from hoopx_cli import front, samples
        from hoopx_cli.doors import Door
        from hoopx_cli.survey import Survey
    detectors = [Detector(name) for name in BUILT_IN]
    order = Open(target, reason, ticket, seconds_of(for_, "--for"), seconds_of(wait, "--wait"), request or None)

    async def use(held: Sequence[AnyHeld], signals: object) -> int:
        database = front.demand_database(held[0])
        survey = Survey(database.session.opened, kit.out)
        async with samples.connected(database.access, kit.out.say) as connection:
            found = await samples.columns(connection, target, schema)
            await survey.run(connection, found, sample, lambda text: classes_in(text, detectors))
        _print(kit, target, survey)
        return 0

    return front.stay(kit, [order], Door(), use)


def _print(kit: Kit, target: str, survey: Survey) -> None:
    from hoopx_cli.columns import as_yaml, written

    found = survey.proposals
    match kit.out.form:
        case Form.JSON:
            kit.out.json(
                {
                    "target": target,
                    "classify": {written(one.column): one.data_class for one in found},
                    "reasons": {written(one.column): one.why for one in found},
                    "known": survey.known,
                    "skipped": survey.skipped,
                }
            )
        case Form.YAML:
            kit.out.data(as_yaml(found))
        case Form.TABLE:
            kit.out.table(("column", "class", "why"), [(written(one.column), one.data_class, one.why) for one in found])
