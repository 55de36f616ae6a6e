"""The helpers of the prompt: the few of psql's commands that one misses most."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from hoopx_cli.output import moment
from hoopx_cli.sql import catalogue, files, pipes
from hoopx_cli.sql import script as scripts
from hoopx_cli.sql.catalogue import Listing
from hoopx_cli.sql.happenings import Cell, Failed, Rows
from hoopx_cli.sql.programs import Paging
from hoopx_cli.sql.tables import Shape

if TYPE_CHECKING:
    from hoopx_cli.sql.visit import Visit

HELPERS = {
    "\\d": "[NAME]   a table's columns, indexes and constraints; without a name, all there are",
    "\\dt": "[NAME]  tables; `*` and `?` stand for any letters",
    "\\dv": "[NAME]  views",
    "\\dn": "[NAME]  schemas",
    "\\x": "[on|off|auto]  one record below the other; auto where there is no room beside",
    "\\copy": "TABLE|(QUERY) from|to FILE [OPTIONS]  a COPY between the server and a file here",
    "\\i": "FILE    run the statements of a file, up to the first that fails",
    "\\e": "[FILE]  what ran last, or a file, in your editor (EDITOR); it runs at the next Enter",
    "\\pset": "pager [on|off]  what is longer than the screen page by page (PAGER)",
    "\\timing": "how long each statement takes, on or off",
    "\\conninfo": "the session: until when, and what is masked",
    "\\?": "this list",
    "\\q": "leave, as Ctrl-D does",
}


async def help_(visit: Visit, helper: str, name: str) -> bool:
    """Do what a helper says; False where it says to leave. Raises `LinkLost`."""
    out, runner = visit.out, visit.runner
    match helper:
        case "\\q":
            return False
        case "\\?":
            out.text("\n".join(f"{each:<10} {told}" for each, told in HELPERS.items()))
        case "\\timing":
            runner.is_timing = {"on": True, "off": False}.get(name, not runner.is_timing)
            out.say(f"timing is {'on' if runner.is_timing else 'off'}")
        case "\\x":
            runner.shape = _shape(runner.shape, name)
            out.say(f"records are {runner.shape.value}")
        case "\\conninfo":
            _tell_session(visit)
        case "\\copy":
            await _copy(visit, name)
        case "\\i":
            with files.reading(files.path_of(name)) as handle:
                await scripts.run_all(runner, visit.link, scripts.Script(pipes.lines(handle)), scripts.Rules())
        case "\\pset":
            _set_pager(visit, name)
        case "\\dn":
            await _list(visit, catalogue.schemas(name))
        case "\\dt":
            await _list(visit, catalogue.relations("rpf", name))
        case "\\dv":
            await _list(visit, catalogue.relations("vm", name))
        case "\\d" if not name:
            await _list(visit, catalogue.relations("rpfvm", ""))
        case "\\d":
            await _describe(visit, name)
        case _:
            out.error(f"there is no `{helper}` here", "\\? lists what there is")
    return True


def _shape(now: Shape, named: str) -> Shape:
    if named in ("on", "off", "auto"):
        return Shape(named)
    return Shape.TABLE if now is Shape.RECORDS else Shape.RECORDS


def _set_pager(visit: Visit, words: str) -> None:
    what, _, named = words.partition(" ")
    choice = {"on": True, "off": False}.get(named.strip())
    paging = visit.runner.outlet
    if what != "pager" or (named.strip() and choice is None) or not isinstance(paging, Paging):
        visit.out.error("\\pset sets the pager alone here", "\\pset pager off")
        return
    paging.is_on = not paging.is_on if choice is None else choice
    visit.out.say(f"the pager is {'on' if paging.is_on else 'off'}")


async def _copy(visit: Visit, words: str) -> None:
    """Raises `BadInput`."""
    copy = files.copy_of(words)
    if copy.path is None:
        await visit.runner.run(visit.link, copy.text)
    elif copy.is_read:
        with files.reading(copy.path) as handle:
            await visit.runner.run(visit.link, copy.text, data=pipes.chunks(handle))
    else:
        await _copy_into(visit, copy.text, files.Writing(copy.path))


async def _copy_into(visit: Visit, text: str, file: files.Writing) -> None:
    try:
        ran = await visit.runner.run(visit.link, text, into=file)
        if file.failure is not None:
            raise file.failure
        if not ran.code:
            file.keep()
    finally:
        file.drop()


def _tell_session(visit: Visit) -> None:
    opened = visit.session.opened
    visit.out.fields(
        [
            ("target", opened.target),
            ("database", opened.database),
            ("session", opened.session),
            ("until", moment(visit.session.expires_at)),
            ("rules", ", ".join(opened.rules)),
            ("masked", ", ".join(opened.masked)),
            ("glass", "BROKEN: this session is reviewed" if visit.session.is_glass else ""),
        ]
    )


async def _list(visit: Visit, listing: Listing) -> None:
    await visit.runner.run(visit.link, listing.text, listing.parameters)


async def _describe(visit: Visit, name: str) -> None:
    schema, table = catalogue.name_of(name)
    found = [row async for row in rows(visit, catalogue.FOUND, (table, schema))]
    if not found:
        visit.out.error(f"there is no table or view `{name}` that you may see", "\\d lists what there is")
        return
    oid, schema, table, kind = found[0]
    visit.out.text(f'{kind} "{schema}.{table}"')
    await _list(visit, Listing(catalogue.COLUMNS, (oid,)))
    masked = [each for each in visit.session.opened.masked if each.startswith(f"{schema}.{table}.")]
    if masked:
        visit.out.text(f"masked: {', '.join(each.rpartition('.')[2] for each in masked)}")
    for heading, text in (("indexes", catalogue.INDEXES), ("constraints", catalogue.CONSTRAINTS)):
        lines = [" ".join(row) async for row in rows(visit, text, (oid,))]
        if lines:
            visit.out.text("\n".join([f"{heading}:", *(f"    {line}" for line in lines)]))


async def rows(visit: Visit, text: str, parameters: Sequence[str]) -> AsyncIterator[list[str]]:
    """Of a statement about the catalogue; NULL is the empty text. What is refused is said, and gives none."""
    async for happening in visit.link.run(text, parameters):
        match happening:
            case Rows(found):
                for row in found:
                    yield [_text(cell) for cell in row]
            case Failed(report):
                visit.out.error(report.message, report.detail)
            case _:
                pass


def _text(cell: Cell) -> str:
    return "" if cell is None else cell.decode(errors="backslashreplace")
