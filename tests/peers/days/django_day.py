"""A day of Django: `inspectdb` and an ORM over what is there; and migrations, forms of writing and locks on its own."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core import management
from django.db import DatabaseError, connection, connections, migrations, models, transaction
from django.db.migrations.executor import MigrationExecutor


def _set_up() -> None:
    where = urlsplit(os.environ["DATABASE_URL"])
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": where.hostname,
                "PORT": where.port,
                "USER": where.username,
                "PASSWORD": unquote(where.password or ""),
                "NAME": where.path[1:],
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tests.peers.days"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    )
    django.setup()


def reads() -> None:
    management.call_command("inspectdb", "--include-views", "--include-partitions")
    with connection.cursor() as cursor:
        look = connection.introspection
        print(sorted(look.get_table_list(cursor)))
        for table in ("author", "book", "edition", "loan"):
            print(look.get_table_description(cursor, table), look.get_relations(cursor, table))
            print(sorted(look.get_constraints(cursor, table).items()), look.get_sequences(cursor, table))
    _reads_by_models()


def _reads_by_models() -> None:
    author = _model("author", name=models.TextField(), born=models.DateField(null=True))
    key = models.ForeignKey(author, on_delete=models.CASCADE)
    fields: dict[str, Any] = {"author": key, "title": models.TextField(), "pages": models.IntegerField()}
    book = _model("book", **fields, extra=models.JSONField(), added=models.DateTimeField())
    print(list(book.objects.filter(title__icontains="title 1").order_by("id").values("id", "title", "author__name")))
    print(author.objects.annotate(n=models.Count("book"), m=models.Max("book__pages")).order_by("id").values_list())
    print(book.objects.filter(extra__n=3).values_list("id", "extra", "added__year").get())
    print(book.objects.filter(added__date="2026-01-01").exists(), book.objects.aggregate(models.Avg("pages")))
    print(sum(each.pages for each in book.objects.iterator(chunk_size=7)))  # a cursor of the server
    print(book.objects.filter(id=1).explain() != "", list(book.objects.raw("SELECT * FROM book WHERE id = %s", [2])))
    with transaction.atomic():
        try:
            with transaction.atomic():
                book.objects.extra(select={"x": "1/0"}).values("x")[:1].get()
        except DatabaseError as error:
            print(type(error).__name__, error)
        print(book.objects.count())


def _model(table: str, **fields: Any) -> Any:
    meta = type("Meta", (), {"managed": False, "db_table": table, "app_label": "days"})
    return type(table.title(), (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def writes() -> None:
    management.call_command("migrate", verbosity=1)
    management.call_command("showmigrations")
    management.call_command("migrate", verbosity=1)  # nothing is left to do
    from django.contrib.auth.models import Group, User  # models exist only once the settings do

    user = User.objects.create_user("ann", "ann@example.com", "secret")
    Group.objects.bulk_create([Group(name=f"group {n}") for n in range(100)], batch_size=30)
    user.groups.set(Group.objects.filter(name__endswith="7"))
    print(sorted(user.groups.values_list("name", flat=True)), user.has_perm("auth.add_user"))
    with transaction.atomic():
        print(Group.objects.select_for_update(skip_locked=True).get(name="group 3").name)
        Group.objects.filter(name="group 3").update(name=models.functions.Upper("name"))
    print(Group.objects.update_or_create(name="new")[1], Group.objects.get_or_create(name="new")[1])
    Group.objects.bulk_create(
        [Group(id=1, name="taken")], update_conflicts=True, unique_fields=["id"], update_fields=["name"]
    )
    print(
        Group.objects.filter(id=1).values_list("name"), Group.objects.filter(name__startswith="group 1").delete()[0] > 0
    )
    _alters()
    management.call_command("migrate", "auth", "zero", verbosity=1)
    management.call_command("migrate", "contenttypes", "zero", verbosity=1)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")


def _alters() -> None:
    """The statements of its schema editor, as a migration makes them."""
    migration = migrations.Migration("0001_initial", "day")
    migration.operations = [
        migrations.CreateModel(
            "Thing", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=9))]
        ),
        migrations.AddField("Thing", "size", models.IntegerField(default=3, db_index=True, db_comment="how large")),
        migrations.AlterField("Thing", "name", models.TextField(unique=True)),
        migrations.AddConstraint("Thing", models.CheckConstraint(condition=models.Q(size__gt=0), name="thing_size")),
        migrations.AddIndex("Thing", models.Index(models.F("size").desc(), name="thing_size_desc")),
        migrations.RenameField("Thing", "size", "width"),
        migrations.RunSQL("INSERT INTO day_thing (name, width) VALUES ('x', 4)"),
        migrations.RemoveField("Thing", "width"),
        migrations.DeleteModel("Thing"),
    ]
    state = MigrationExecutor(connections["default"]).loader.project_state()
    with connection.schema_editor(atomic=True, collect_sql=False) as editor:
        migration.apply(state, editor)
    print("altered, and gone:", "day_thing" not in connection.introspection.table_names())


if __name__ == "__main__":
    _set_up()
    {"reads": reads, "writes": writes}[sys.argv[1]]()
    print("the day is over")
