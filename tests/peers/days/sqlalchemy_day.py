"""A day of SQLAlchemy by each of its drivers: what the inspector finds, tables reflected, and an ORM at work."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import create_async_engine

DRIVERS = ("psycopg", "psycopg2", "asyncpg")
SCHEMAS = ("library", "Odd Names", "public")


def url(driver: str) -> sa.URL:
    return sa.make_url(os.environ["DATABASE_URL"]).set(drivername=f"postgresql+{driver}", query={})


def reads() -> None:
    for driver in DRIVERS:
        print(f"--- {driver}")
        if driver == "asyncpg":
            asyncio.run(_with_asyncpg())
            continue
        engine = sa.create_engine(url(driver))
        with engine.connect() as connection:
            _looks_around(connection)
            _reflects(connection)
        engine.dispose()


async def _with_asyncpg() -> None:
    engine = create_async_engine(url("asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(_looks_around)
        await connection.run_sync(_reflects)
        streamed = await connection.stream(sa.text("SELECT id FROM library.book"))
        print(sum([row[0] async for row in streamed]))
    await engine.dispose()


def _looks_around(connection: sa.Connection) -> None:
    found: Any = sa.inspect(connection)  # more than the Inspector of every database: that of PostgreSQL
    print(found.get_schema_names(), found.default_schema_name)
    print(found.get_enums(schema="*"), found.get_domains(schema="*"))
    for schema in SCHEMAS:
        print(schema, sorted(found.get_table_names(schema)), sorted(found.get_view_names(schema)))
        print(found.get_materialized_view_names(schema), found.get_foreign_table_names(schema))
        print(found.get_sequence_names(schema), found.get_temp_table_names())
        for what in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints"):
            told = getattr(found, f"get_multi_{what}")(schema=schema, kind=sa.engine.reflection.ObjectKind.ANY)
            print(what, *sorted(map(str, told.items())), sep="\n  ")
        print(sorted(map(str, found.get_multi_table_comment(schema=schema).items())))
    print(found.get_view_definition("prolific", "library"), found.has_table("book", "library"))
    print(found.get_columns("book", "library"), found.get_indexes("book", "library"))


def _reflects(connection: sa.Connection) -> None:
    for schema in SCHEMAS:
        metadata = sa.MetaData()
        metadata.reflect(connection, schema=schema, views=True)
        for table in metadata.sorted_tables:
            print(table.fullname, [(column.name, repr(column.type), column.nullable) for column in table.columns])
            print(
                sorted(str(each.name) for each in table.constraints), sorted(str(each.name) for each in table.indexes)
            )
    metadata = sa.MetaData(schema="library")
    book, author = (sa.Table(name, metadata, autoload_with=connection) for name in ("book", "author"))
    asked = sa.select(author.c.name, sa.func.count(), sa.func.sum(book.c.pages)).join_from(author, book)
    print(connection.execute(asked.group_by(author.c.name).order_by(author.c.name)).all())
    print(
        connection.execute(sa.select(book.c.title).where(book.c.id.in_([1, 2, 3])).order_by(book.c.id)).scalars().all()
    )
    print(connection.execute(sa.select(book.c.extra["n"].as_integer()).where(book.c.tags.contains(["tag1"]))).all())
    streamed = connection.execution_options(stream_results=True, max_row_buffer=7).execute(sa.select(book.c.id))
    print(sum(streamed.scalars()))


class Base(orm.DeclarativeBase):
    """Where the tables of this day are kept."""


class Shelf(Base):
    """A table with a key of its own making."""

    __tablename__ = "sqlalchemy_shelf"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    label: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True, comment="what is on it")
    kind: orm.Mapped[str] = orm.mapped_column(sa.Enum("wide", "narrow", name="shelf_kind"), default="wide")
    items: orm.Mapped[list[Item]] = orm.relationship(back_populates="shelf", cascade="all, delete-orphan")


class Item(Base):
    """Stands on a shelf."""

    __tablename__ = "sqlalchemy_item"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    shelf_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("sqlalchemy_shelf.id"), index=True)
    name: orm.Mapped[str]
    shelf: orm.Mapped[Shelf] = orm.relationship(back_populates="items")


def writes() -> None:
    for driver in ("psycopg", "psycopg2"):
        print(f"--- {driver}")
        engine = sa.create_engine(url(driver), isolation_level="REPEATABLE READ")
        Base.metadata.create_all(engine)
        Base.metadata.create_all(engine)  # looks, and finds them
        with orm.Session(engine) as session:
            _works(session)
        Base.metadata.drop_all(engine)
        engine.dispose()


def _works(session: orm.Session) -> None:
    shelves = [Shelf(label=f"shelf {n}", items=[Item(name=f"item {n}.{m}") for m in range(20)]) for n in range(20)]
    session.add_all(shelves)
    session.commit()
    with session.begin_nested() as point:
        session.add(Shelf(label="undone"))
        session.flush()
        point.rollback()
    shelf = session.scalars(sa.select(Shelf).options(orm.selectinload(Shelf.items)).order_by(Shelf.id)).first()
    assert shelf is not None
    print(shelf.label, shelf.kind, [item.name for item in shelf.items])
    shelf.label = "renamed"
    session.delete(shelves[3])
    session.commit()
    session.execute(sa.update(Item).where(Item.shelf_id == shelf.id).values(name=sa.func.upper(Item.name)))
    print(session.execute(sa.select(sa.func.count(), sa.func.max(Item.name)).select_from(Item)).all())
    print(session.execute(sa.select(Shelf.id).where(Shelf.id == 1).with_for_update()).all())
    try:
        session.add(Shelf(label="renamed"))
        session.commit()
    except sa.exc.IntegrityError as error:
        session.rollback()
        print(type(error.orig).__name__)
    print(session.execute(sa.delete(Item).where(Item.id < 5).returning(Item.id)).scalars().all())
    session.commit()


if __name__ == "__main__":
    {"reads": reads, "writes": writes}[sys.argv[1]]()
    print("the day is over")
