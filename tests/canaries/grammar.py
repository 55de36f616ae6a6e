"""What the grammar is made of, one form a line: `{T}` and its like are holes, `;;` parts messages.

In expressions: `{T}` text, `{N}` number, `{D}` date, `{U}` uuid, `{I}` inet, `{J}` jsonb, `{B}` bytea, `{A}` text[],
`{any}` of any sort, `{bool}`, `{row}` a whole row, `{star}` its `t.*`, `{q}` and `{qN}` a query of one text or number, `{col}` a column's
name and `{key}` the same as a literal, `{own}` and `{own_number}` a call of a function of the database's own.

In scenes: `{query}` any query, `{one}` a query of one text, `{sum}` of one number, `{table}` a table or view with hidden columns, `{base}` a
table with hidden columns, `{hidden}` one of these and `{columns}` all of its columns, `{back}` something of its row `r`,
`{other}` any table, `{plain}` a table without hidden columns and `{open}` a text in it, `{name}` a new name.
"""

from __future__ import annotations


def _lines(block: str) -> tuple[str, ...]:
    return tuple(line for line in block.strip().splitlines() if line.strip())


TEXTS = _lines(r"""
{T}
{any}::text
CAST({any} AS varchar)
CAST({any} AS name)::text
upper({T})
lower({T})
reverse({T})
initcap({T})
substr({T}, 2)
substring({T} from 1 for 8)
substring({T} from '.{6}')
left({T}, 9)
right({T}, 9)
overlay({T} placing '' from 1 for 0)
replace({T}, 'j', 'J')
translate({T}, 'j', 'J')
trim({T})
btrim({T}, 'j')
lpad({T}, 20, '-')
rpad({T}, 30)
repeat({T}, 2)
split_part({T}, 'a', 1)
regexp_replace({T}, '^', '>')
(regexp_matches({T}, '.+'))[1]
regexp_match({T}, '.*')::text
{T} || {T}
{any} || ''
concat({any}, {any})
concat_ws('-', {any}, {T})
format('%s %I', {any}, {T})
quote_literal({any})
quote_ident({T})
quote_nullable({T})
encode({B}, 'hex')
encode({T}::bytea, 'base64')
convert_from({B}, 'UTF8')
to_char({N}, '9999999999999999999')
to_char({D}, 'YYYY-MM-DD')
host({I})
abbrev({I})
to_json({any})::text
to_jsonb({any}) #>> '{}'
row_to_json({row})::text
to_jsonb({row})->>{key}
({row})::text
to_json({star})::text
format('%s', {star})
({star})::text
row({any}, {any})::text
(row({any}, {T})).f1::text
{row}.{col}::text
array_to_string(array[{T}, {T}], ',')
(array[{T}])[1]
({A})[1]
array_to_string({A}, '-')
array[{any}]::text
array_append(array['a'], {T})::text
string_to_array({T}, 'j')::text
json_build_object('a', {any})::text
json_build_array({any}, {T})::text
jsonb_build_object({T}, 1)::text
json_object(array['a', {T}])::text
({J})->>'kind'
({J})::text
jsonb_pretty({J})
jsonb_path_query_first({J}, '$.kind')::text
xmlelement(name a, {any})::text
xmlforest({any} as b)::text
CASE WHEN {bool} THEN {T} ELSE {T} END
CASE {T} WHEN 'a' THEN 'b' ELSE {T} END
CASE WHEN {T} IS NOT NULL THEN {T} END
COALESCE({T}, {T})
NULLIF({T}, 'x')
GREATEST({T}, {T})
LEAST({T}, {T})
({q})
(SELECT {T})
(SELECT x FROM ({q}) AS s(x))
(VALUES ({T}))
array_to_string(array({q}), ',')
{T} COLLATE "C"
{T} ### {T}
shout({T})
glue({T}, {T})
tattle({T})
{own}
pg_catalog.upper({T})
pg_catalog.text({T})
normalize({T})
to_ascii({T})
unistr({T})
{T}::label
set_config('a.b', {T}, false)
current_setting('a.b', true)
to_tsvector('simple', {T})::text
decode(encode({T}::bytea, 'hex'), 'hex')::text
textcat({T}, '')
chr(ascii({T}))
md5({T})
max({T}) OVER ()
pg_typeof({any})::text
""")

OTHERS: dict[str, tuple[str, ...]] = {
    "number": _lines(r"""
{N}
{N} + 0
{N} / 1000
{N} * 10
- {N}
abs({N})
round({N}, 1)
trunc({N})
{N}::float8
{N}::text::numeric
GREATEST({N}, {N})
COALESCE({N}, 0)
CASE WHEN {bool} THEN {N} END
({qN})
{D} - date '2000-01-01'
extract(epoch from {D})
{T}::numeric
({T})::integer
1 / ({N})
length({T})
{I} - inet '0.0.0.0'
({J}->>'n')::numeric
array_length({A}, 1)
{own_number}
sum({N}) OVER ()
count({any}) OVER ()
"""),
    "date": _lines(r"""
{D}
{D} + 0
COALESCE({D}, {D})
GREATEST({D}, {D})
date_trunc('day', {D})::date
{T}::date
({D} + interval '1 hour')::date
"""),
    "uuid": _lines(r"""
{U}
COALESCE({U}, {U})
{U}::text::uuid
CASE WHEN {bool} THEN {U} END
{T}::uuid
"""),
    "inet": _lines(r"""
{I}
{I} & inet '255.255.255.255'
{I} + 0
network({I})::inet
COALESCE({I}, {I})
{T}::inet
"""),
    "jsonb": _lines(r"""
{J}
to_jsonb({any})
to_jsonb({row})
to_jsonb(array[{T}])
{J} || '{}'
{J}->'more'
jsonb_build_object('a', {any})
jsonb_build_array({any})
jsonb_set({J}, '{a}', to_jsonb({T}))
jsonb_insert({J}, '{z}', '1')
jsonb_strip_nulls({J})
jsonb_path_query_array({J}, '$.*')
(SELECT jsonb_agg(x) FROM ({q}) AS s(x))
{T}::jsonb
"""),
    "bytea": _lines(r"""
{B}
{B} || {B}
{T}::bytea
decode(encode({B}, 'hex'), 'hex')
substring({B} from 1)
convert_to({T}, 'UTF8')
set_byte({B}, 0, 65)
overlay({B} placing '' from 1 for 0)
"""),
    "texts": _lines(r"""
{A}
({A})[1:2]
array[{T}, {T}]
array_append({A}, {T})
array_remove({A}, 'a')
{A} || {T}
string_to_array({T}, ',')
regexp_split_to_array({T}, '')
array({q})
{T}::text[]
"""),
}

BOOLEANS = _lines(r"""
true
{any} IS NOT NULL
{T} = 'plain'
{N} > 0
{T} LIKE '%a%'
{T} < 'm'
{T} ~ 'a'
EXISTS ({q})
{T} IN ({q})
{T} = ANY ({A})
{D} > date '2026-01-01'
{T} IS DISTINCT FROM {T}
NOT {bool}
{bool} AND {bool}
{N} BETWEEN 1 AND 5
{N} IN (1, 2)
{J} @> '{}'
{I} << inet '0.0.0.0/0'
({T}, {N}) = ({T}, {N})
{T}::integer > 0
{row} IS NOT NULL
starts_with({T}, 'a')
""")

AGGREGATES = _lines(r"""
max({T})
min({T})
min({D})::text
string_agg({T}, ',')
string_agg({any}::text, '')
string_agg(DISTINCT {T}, ',')
(array_agg({any}))[1]::text
array_agg({any})::text
array_to_string(array_agg({T} ORDER BY {T}), '')
json_agg({any})::text
json_agg({row})::text
jsonb_agg({row})::text
json_object_agg({N}, {T})::text
xmlagg(xmlelement(name a, {T}))::text
mode() WITHIN GROUP (ORDER BY {T})
percentile_disc(0.5) WITHIN GROUP (ORDER BY {T})
max({T}) FILTER (WHERE {bool})
glued({T})
count({any})::text
count(*)::text
sum({N})::text
avg({N})::text
bit_or({N}::bigint)::text
every({bool})::text
(SELECT max({T}))
""")

WINDOWS = _lines(r"""
first_value({any}) OVER (ORDER BY {N})
last_value({T}) OVER (ORDER BY {N} RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES)
nth_value({any}, 1) OVER w
lag({any}) OVER ()
lead({any}, 1) OVER (ORDER BY {T})
max({T}) OVER w
string_agg({T}, ',') OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
array_agg({any}) OVER (PARTITION BY {N})::text
json_agg({any}) OVER w
row_number() OVER (ORDER BY {T})
""")

# Sources in FROM with the columns that they give; `{f}` is the name of the source.
SOURCES = _lines(r"""
unnest(array({q})) WITH ORDINALITY AS {f}(a, n)
unnest(array({q}), array[1]) AS {f}(a, n)
ROWS FROM (unnest(array({q})), generate_series(1, 2)) AS {f}(a, n)
(VALUES (({q}), 1), ('x', 2)) AS {f}(a, n)
LATERAL (VALUES ({any}::text, 1)) AS {f}(a, n)
LATERAL jsonb_each_text(to_jsonb({row})) AS {f}(a, b)
LATERAL jsonb_to_record(to_jsonb({row})) AS {f}(email text, name text)
LATERAL json_array_elements_text(json_build_array(({q}))) AS {f}(a)
LATERAL jsonb_path_query(to_jsonb({row}), '$.*') AS {f}(j)
LATERAL jsonb_populate_record(NULL::public.defaults, to_jsonb({row})) AS {f}(n, b)
xmltable('/a' PASSING xmlelement(name a, ({q})) COLUMNS a text PATH '.') AS {f}(a)
regexp_split_to_table(({q}), '') AS {f}(a)
string_to_table(({q}), 'j') AS {f}(a)
upper(({q})) AS {f}(a)
generate_series(1, 2) AS {f}(n)
""")

# Kinds of scenes, how often each is drawn, and its forms.
SCENES: tuple[tuple[int, tuple[str, ...]], ...] = (
    (40, ("{query}",)),
    (4, _lines("""
EXPLAIN {query}
EXPLAIN VERBOSE {query}
EXPLAIN (ANALYZE, VERBOSE) {query}
EXPLAIN (ANALYZE, FORMAT json) {query}
EXPLAIN (ANALYZE, BUFFERS, SETTINGS) {query}
EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {base} WHERE {hidden} = ({one})
""")),
    (6, _lines("""
COPY ({query}) TO STDOUT
COPY ({query}) TO STDOUT (FORMAT csv, HEADER)
COPY ({query}) TO STDOUT (FORMAT binary)
COPY ({query}) TO STDOUT WITH CSV QUOTE '|' FORCE QUOTE *
COPY {base} TO STDOUT
COPY {base} TO STDOUT (FORMAT csv, HEADER, DELIMITER '|')
COPY {base} TO STDOUT (FORMAT binary)
COPY {base} ({hidden}, id) TO STDOUT
COPY {base} ({hidden}) TO STDOUT (FORMAT csv, NULL 'x')
COPY {other} TO STDOUT
COPY (UPDATE {base} AS r SET id = r.id WHERE r.id < 3 RETURNING {back}) TO STDOUT
""")),
    (5, _lines("""
DECLARE c CURSOR FOR {query};;FETCH 2 FROM c;;FETCH ALL c
DECLARE c SCROLL CURSOR FOR {query};;FETCH LAST c;;FETCH BACKWARD ALL c;;CLOSE c
DECLARE c BINARY CURSOR FOR {query};;FETCH NEXT c;;MOVE 1 c;;FETCH ALL c
DECLARE c CURSOR WITH HOLD FOR {query};;FETCH 1 c;;COMMIT;;FETCH ALL c
DECLARE c INSENSITIVE CURSOR FOR {query};;FETCH ABSOLUTE 1 c;;SELECT cursor_to_xml('c', 5, true, true, '')
DECLARE c CURSOR FOR SELECT 1;;FETCH ALL c;;CLOSE c;;DECLARE c CURSOR FOR {query};;FETCH ALL c
DECLARE c CURSOR FOR SELECT * FROM {base};;FETCH 1 c;;UPDATE {base} SET id = id WHERE CURRENT OF c RETURNING *
""")),
    (5, _lines("""
PREPARE {name} AS {query};;EXECUTE {name}
PREPARE {name} AS {query};;EXECUTE {name};;EXECUTE {name}
PREPARE {name} AS {query};;EXPLAIN (ANALYZE, VERBOSE) EXECUTE {name}
PREPARE {name} AS {query};;CREATE TEMP TABLE t{name} AS EXECUTE {name};;SELECT * FROM t{name}
PREPARE {name} AS SELECT 1;;EXECUTE {name};;DEALLOCATE {name};;PREPARE {name} AS {query};;EXECUTE {name}
PREPARE {name} (integer) AS SELECT t FROM {table} t WHERE id = $1;;EXECUTE {name}(1)
PREPARE {name} AS {query};;SELECT statement FROM pg_prepared_statements;;DEALLOCATE ALL
""")),
    (9, _lines("""
UPDATE {base} AS r SET id = r.id WHERE r.id < 3 RETURNING {back}
UPDATE {base} AS r SET {hidden} = r.{hidden} WHERE r.id = 1 RETURNING {back}
UPDATE {base} AS r SET id = r.id FROM {other} o WHERE r.id = o.id RETURNING {back}, o
UPDATE {base} AS r SET id = r.id WHERE r.id < 3 RETURNING old.*, new, r::text
UPDATE {base} AS r SET id = r.id WHERE r.id < 3 RETURNING WITH (OLD AS o, NEW AS n) o.{hidden}, n::text
DELETE FROM {base} AS r WHERE r.id = 3 RETURNING {back}
DELETE FROM {base} AS r USING {other} o WHERE r.id = o.id RETURNING {back}, o.*
INSERT INTO {base} AS r ({columns}) SELECT {columns} FROM {base} RETURNING {back}
INSERT INTO {base} AS r ({columns}) SELECT {columns} FROM {base} ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING {back}
INSERT INTO {base} AS r (id, {hidden}) SELECT id + 40, {hidden} FROM {base} RETURNING {back}
INSERT INTO {base} AS r (id) VALUES (77) RETURNING {back}
MERGE INTO {base} AS r USING {other} o ON r.id = o.id WHEN MATCHED THEN UPDATE SET id = o.id RETURNING {back}, o.*
INSERT INTO public.defaults (id) VALUES (1) RETURNING *
INSERT INTO public.defaults DEFAULT VALUES RETURNING got || ''
UPDATE public.defaults SET got = DEFAULT WHERE id = 1 RETURNING got
""")),
    (7, _lines("""
UPDATE {plain} SET {open} = ({one}) WHERE id < 3;;SELECT {open} FROM {plain}
UPDATE {plain} AS w SET {open} = o.{hidden}::text FROM {base} o WHERE o.id = w.id;;TABLE {plain}
UPDATE {plain} AS w SET ({open}, id) = (SELECT o.{hidden}::text, w.id FROM {base} o LIMIT 1) WHERE id < 3;;TABLE {plain}
INSERT INTO {plain} (id, {open}) SELECT id + 50, {hidden}::text FROM {base};;COPY {plain} TO STDOUT
INSERT INTO {plain} (id, {open}) VALUES (60, ({one}));;SELECT {open} || '' FROM {plain}
INSERT INTO {plain} (id, {open}) VALUES (60, ({one})) RETURNING {open}
WITH w AS (SELECT {hidden}::text AS e FROM {base}) INSERT INTO {plain} (id, {open}) SELECT 70, e FROM w LIMIT 1;;TABLE {plain}
MERGE INTO {plain} AS w USING {base} AS o ON w.id = o.id WHEN MATCHED THEN UPDATE SET {open} = o.{hidden}::text;;TABLE {plain}
INSERT INTO {plain} (id, {open}) SELECT 1, 'x' ON CONFLICT (id) DO UPDATE SET {open} = ({one});;TABLE {plain}
INSERT INTO {plain} (id, {open}) SELECT id, {hidden}::text FROM {base} ON CONFLICT (id) DO UPDATE SET {open} = excluded.{open};;TABLE {plain}
UPDATE {plain} SET {open} = peek() WHERE id = 1;;TABLE {plain}
""")),
    (7, _lines("""
CREATE TEMP TABLE {name} AS {query};;SELECT * FROM {name}
CREATE TABLE public.{name} AS {query};;COPY public.{name} TO STDOUT;;TABLE {name}
CREATE TEMP VIEW {name} AS {query};;SELECT x::text FROM {name} x
CREATE VIEW public.{name} AS {query};;SELECT * FROM {name};;SELECT x::text FROM public.{name} x
CREATE MATERIALIZED VIEW public.{name} AS {query};;TABLE public.{name};;COPY public.{name} TO STDOUT
CREATE MATERIALIZED VIEW public.{name} AS {query} WITH NO DATA;;REFRESH MATERIALIZED VIEW public.{name};;TABLE public.{name}
SELECT * INTO TEMP {name} FROM ({query}) AS q;;SELECT * FROM {name}
CREATE RECURSIVE VIEW public.{name} (a) AS SELECT ({one}) UNION SELECT a FROM {name};;TABLE public.{name}
CREATE TEMP TABLE {name} AS SELECT * FROM {base} WITH NO DATA;;INSERT INTO {name} TABLE {base};;TABLE {name}
CREATE VIEW public.{name} AS SELECT 1 AS a;;TABLE public.{name};;CREATE OR REPLACE VIEW public.{name} AS SELECT 1 AS a, ({one}) AS b;;TABLE public.{name}
""")),
    (4, _lines("""
CREATE FUNCTION {name}() RETURNS text LANGUAGE sql AS $f$ {one} $f$;;SELECT {name}()
CREATE FUNCTION {name}() RETURNS text RETURN ({one});;SELECT {name}()
CREATE FUNCTION {name}(x {base}) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x::text';;SELECT t.{name} FROM {base} t
CREATE FUNCTION pg_temp.upper(integer) RETURNS text LANGUAGE sql AS $f$ {one} $f$;;SELECT pg_temp.upper(1)
CREATE TABLE {name} (a text DEFAULT peek());;INSERT INTO {name} DEFAULT VALUES RETURNING *;;TABLE {name}
CREATE TABLE {name} (x text);;CREATE RULE r AS ON UPDATE TO {base} DO ALSO INSERT INTO {name} VALUES (old::text);;UPDATE {base} SET id = id WHERE id = 1;;TABLE {name}
CREATE TABLE {name} (x text);;CREATE RULE "_RETURN" AS ON SELECT TO {name} DO INSTEAD {one};;TABLE {name}
CREATE DOMAIN {name} AS text CHECK (value = peek());;SELECT 'a'::{name};;SELECT ({one})::{name}
CREATE TYPE {name} AS (a text);;SELECT (row(({one}))::{name}).a
CREATE TABLE {name} (LIKE {base});;INSERT INTO {name} TABLE {base};;TABLE {name}
CREATE INDEX ON {base} ((1 / (length({hidden}::text) - length({hidden}::text))))
CREATE UNIQUE INDEX ON {base} ((length({hidden}::text)));;CREATE UNIQUE INDEX ON {base} ((true))
CREATE AGGREGATE {name}(text) (SFUNC = glue, STYPE = text);;SELECT {name}(t::text) FROM {base} t
CREATE STATISTICS {name} ON id, {hidden} FROM {base};;ANALYZE {base};;SELECT most_common_vals::text FROM pg_stats_ext
ALTER TABLE {base} ADD CONSTRAINT c CHECK ({hidden} IS NULL)
ALTER TABLE {base} ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES {plain} (id);;UPDATE {base} SET id = 1000 WHERE id = 1
""")),
    (4, _lines("""
ALTER TABLE {base} RENAME {hidden} TO {name};;SELECT {name} FROM {base};;SELECT {name}::text FROM {base}
ALTER TABLE {base} RENAME TO {name};;SELECT * FROM {name}
ALTER TABLE {base} SET SCHEMA pg_temp;;SELECT * FROM {base}
ALTER TABLE {base} ADD COLUMN {name} text GENERATED ALWAYS AS ({hidden}::text) STORED;;SELECT {name} FROM {base}
CREATE TABLE public.{name} (LIKE {base});;ALTER TABLE {base} INHERIT public.{name};;TABLE public.{name}
CREATE TABLE public.{name} () INHERITS ({base});;TABLE public.{name};;SELECT x::text FROM {base} x
ALTER SCHEMA public RENAME TO other;;SELECT * FROM other.people;;SELECT * FROM other.parts
ALTER TABLE {table} RENAME TO {name};;SELECT * FROM {name};;SELECT * FROM public.{name}
ALTER TABLE public.parts DETACH PARTITION public.parts_low;;TABLE public.parts_low
ALTER TABLE {base} ALTER {hidden} TYPE text USING {hidden}::text || '';;SELECT {hidden} FROM {base}
ALTER TABLE {plain} ADD COLUMN {name} text DEFAULT peek();;TABLE {plain}
ALTER TABLE {plain} ALTER {open} SET DEFAULT peek();;INSERT INTO {plain} (id) VALUES (95) RETURNING {open};;TABLE {plain}
ALTER TABLE {plain} ALTER {open} TYPE text USING peek();;TABLE {plain}
ALTER FUNCTION peek() RENAME TO {name};;SELECT {name}()
ALTER FUNCTION shout(text) RENAME TO {name};;SELECT {name}(t::text) FROM {base} t
COMMENT ON COLUMN {base}.{hidden} IS 'plain';;SELECT {hidden} FROM {base}
CREATE OPERATOR ### (LEFTARG = text, RIGHTARG = integer, FUNCTION = repeat);;SELECT {hidden}::text ### 1 FROM {base}
CREATE SCHEMA s{name} CREATE VIEW v AS SELECT * FROM {base};;SELECT * FROM s{name}.v
CREATE TABLE public.{name} PARTITION OF public.parts FOR VALUES FROM (2000) TO (3000);;TABLE public.{name}
ALTER TABLE {base} DROP COLUMN {hidden} CASCADE;;SELECT * FROM {base}
DROP TABLE {base} CASCADE;;CREATE TABLE {base} AS SELECT 1 AS id;;TABLE {base}
""")),
    (4, _lines("""
LISTEN x;;SELECT pg_notify('x', ({one}))
LISTEN x;;SELECT count(pg_notify('x', t::text)) FROM {table} t
LISTEN x;;SELECT 1 FROM {table} t WHERE pg_notify('x', t::text) IS NOT NULL
SELECT tattle(({one}))
SELECT 1 FROM {table} t WHERE tattle(t::text) <> ''
SELECT complain(({one}))
SELECT blurt()
SELECT burst()
SELECT set_config('a.b', ({one}), false);;SHOW a.b;;SELECT current_setting('a.b')
SELECT 1 FROM {table} t WHERE set_config('a.b', t::text, false) <> '';;SHOW a.b
SELECT set_config('application_name', left(({one}), 60), false);;SHOW application_name
SELECT 1 FROM {plain} WHERE tattle(({one})) = ''
SELECT 1 FROM {plain} WHERE tattle(peek()) = ''
SELECT 1 FROM {plain} ORDER BY tattle(peek())
SELECT pg_advisory_xact_lock(({sum})::bigint);;SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'
SELECT 1 FROM {table} t WHERE pg_try_advisory_lock(length(t::text));;SELECT l::text FROM pg_locks l
SELECT lo_create(({sum})::bigint::oid);;SELECT oid FROM pg_largeobject_metadata
SELECT lo_from_bytea(12345, ({one})::bytea);;SELECT lo_get(12345)
SELECT pg_replication_origin_create(({one}));;SELECT roname FROM pg_replication_origin
SELECT pg_create_physical_replication_slot(({one})::name);;SELECT slot_name FROM pg_replication_slots
CREATE SEQUENCE {name};;SELECT setval('{name}', ({sum})::bigint);;SELECT last_value FROM {name};;SELECT lastval()
SELECT pg_cancel_backend(({sum})::integer)
SET client_min_messages = debug5;;{query}
""")),
    (4, _lines("""
SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats
SELECT stavalues1::text FROM pg_statistic
SELECT s::text FROM pg_catalog.pg_stats s
SELECT most_common_vals::text FROM pg_stats_ext
SELECT query FROM pg_stat_activity
SELECT adbin::text, pg_get_expr(adbin, adrelid) FROM pg_attrdef
SELECT pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' LIMIT 3
SELECT query_to_xml('SELECT t::text FROM {table_text} t', true, true, '')
SELECT table_to_xml('{table_text}', true, true, '')
SELECT schema_to_xml('public', true, true, '')
SELECT database_to_xml(true, true, '')
SELECT * FROM ts_stat('SELECT to_tsvector(t::text) FROM {table_text} t')
SELECT dynamic('SELECT t::text FROM {table_text} t')
SELECT pg_logical_emit_message(true, 'a', (SELECT t::text FROM {table} t LIMIT 1))
SELECT brin_page_items(get_raw_page('{table_text}', 0), '{table_text}')
SELECT lo_from_bytea(0, ({one})::bytea)
""")),
    (4, _lines("""
SELECT ({one})::integer
SELECT ({one})::date
SELECT ({one})::mood
SELECT ({one})::regclass
SELECT 1 WHERE ({one})::uuid IS NULL
SELECT 1 FROM {table} t ORDER BY t::text::integer
SELECT 1 FROM {table} t GROUP BY t::text::numeric
SELECT t::text::jsonb FROM {table} t
SELECT current_setting(({one}))
SELECT to_tsquery(({one}) || ' &')
SELECT has_table_privilege(({one}), 'select')
SELECT 1 / (CASE WHEN t::text > 'a' THEN 0 ELSE 1 END) FROM {table} t
SELECT xmlparse(document ({one}))
SELECT '' ~ (({one}) || '(')
SELECT 1;;SELECT ({one})::bigint;;SELECT 1;;SELECT * FROM {table}
SELECT jsonb_path_query('{}', ({one})::jsonpath)
SELECT to_date(({one}), 'YYYY')
SELECT encode('a', ({one}))
SELECT now() AT TIME ZONE ({one})
SELECT lo_import(({one}))
SELECT pg_read_file(({one}))
UPDATE {base} SET id = 1 WHERE id > 0
INSERT INTO {base} SELECT * FROM {base} t
INSERT INTO {base} ({hidden}) SELECT {hidden} FROM {base}
SAVEPOINT s;;SELECT ({one})::integer;;ROLLBACK TO s;;SELECT t FROM {table} t
SET CONSTRAINTS ALL DEFERRED;;UPDATE {base} SET id = 1 WHERE id = 2;;SET CONSTRAINTS ALL IMMEDIATE
""")),
    (3, _lines("""
SET search_path = "Side Schema", public;;{query};;COPY ({query}) TO STDOUT
SET search_path = pg_catalog;;{query};;{query}
SET datestyle = 'SQL, DMY';;{query};;{query}
SET bytea_output = escape;;{query};;SELECT * FROM {base}
SET extra_float_digits = 3;;{query}
SET LOCAL enable_seqscan = off;;{query}
SET xmloption = document;;{query}
SET quote_all_identifiers = on;;EXPLAIN (VERBOSE) {query}
SET debug_print_plan = on;;{query}
DISCARD ALL;;{query}
RESET ALL;;{query}
SET ROLE postgres;;{query}
""")),
    (3, _lines("""
CREATE TEMP TABLE {base_name} (id integer, a text);;SELECT * FROM {base_name};;DROP TABLE pg_temp.{base_name};;SELECT * FROM {base_name}
CREATE TEMP TABLE {base_name} (id integer);;SET search_path = public, "Side Schema", pg_temp;;SELECT * FROM {base_name}
SELECT * FROM {base_name};;SET search_path = {base_schema};;SELECT * FROM {base_name};;SET search_path = pg_temp;;TABLE {base_name}
CREATE TEMP TABLE {base_name} (a text);;INSERT INTO pg_temp.{base_name} SELECT t::text FROM {base} t;;SELECT * FROM {base_name}
WITH {base_name} AS (SELECT 1 AS id) SELECT * FROM {base_name};;WITH {base_name} AS (TABLE {base}) SELECT * FROM {base_name}
SAVEPOINT s;;CREATE TEMP TABLE {base_name} (id integer);;ROLLBACK TO s;;SELECT * FROM {base_name};;SELECT x::text FROM {base_name} x
""")),
    (3, _lines("""
{query}; {query}
SELECT 1 AS a; {query}; SELECT 2 AS b
{query}; SELECT 1/0; {query}
BEGIN; {query}; COMMIT; {query}
{query}; COPY ({query}) TO STDOUT; {query}
""")),
    (2, _lines("""
DO $d$ BEGIN RAISE NOTICE '%', ({one}); END $d$
DO $d$ BEGIN UPDATE {plain} SET {open} = ({one}) WHERE id = 1; END $d$;;TABLE {plain}
CREATE PROCEDURE {name}() LANGUAGE sql AS $d$ {one} $d$;;CALL {name}()
CREATE PROCEDURE {name}(INOUT a text) LANGUAGE sql AS $d$ {one} $d$;;CALL {name}('x')
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $d$ BEGIN RAISE NOTICE '%', old; RETURN new; END $d$;;CREATE TRIGGER t BEFORE UPDATE ON {base} FOR EACH ROW EXECUTE FUNCTION {name}();;UPDATE {base} SET id = id WHERE id = 1
""")),
)  # fmt: skip
