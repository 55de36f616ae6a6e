-- A day of psql: every backslash command that asks the server something, of versions 12 and later.
\pset pager off
\set VERBOSITY verbose
\echo == what there is
\d
\dS
\d+
\dS+ pg_am
\d library.*
\d+ library.*
\d "Odd Names"."Select"
\d+ library.book
\d library.book_pkey
\d library.cheap
\d+ library.prolific
\d library.ticket
\d library.longest
\d+ library.visit
\d library.visit_2026_01
\d library.toy
\d library.address
\d public.*
\d nothing_like_this
\d pg_catalog.pg_class
\d information_schema.columns
\echo == by kind
\da library.*
\daS sum
\dA
\dA+
\dAc
\dAc+ btree
\dAf btree
\dAo btree integer_ops
\dAp btree integer_ops
\db
\db+
\dc
\dcS+ utf8_to_iso8859_1
\dC
\dC+ library.mood
\dd
\dd library.*
\dD library.*
\dD+ library.*
\ddp
\des
\des+
\det library.*
\det+ library.*
\dew
\dew+
\df library.*
\df+ library.*
\dfa library.*
\dfn library.*
\dfp library.*
\dft library.*
\dfw
\dfS+ pg_catalog.lower
\df lib*.add_up int*
\dF
\dF+ simple
\dF+ library.*
\dFd
\dFd+ simple
\dFp
\dFp+
\dFt
\dFt+ simple
\dg
\dg+
\di library.*
\di+ library.*
\dl
\dl+
\dL
\dL+
\dLS
\dm library.*
\dm+ library.*
\dn
\dn+
\dnS
\do library.*
\doS ===
\do+ library.*
\dO library.*
\dOS+ pg_catalog.C
\dp
\dp library.*
\dP
\dP+
\dPti library.*
\dPn+
\drds
\dRp
\dRp+
\dRs
\ds library.*
\ds+ library.*
\dt library.*
\dt+ library.*
\dtS pg_cl*
\dT library.*
\dT+ library.*
\dTS+ int4
\du
\duS+
\dv library.*
\dv+ library.*
\dx
\dx+
\dX
\dX+ library.*
\dy
\dy+
\l
\z library.*
\sf library.title_of
\sf+ library.touch
\sv library.cheap
\sv+ library.prolific
\sf library.add_up(integer, integer)
\lo_list
\lo_list+
\echo == ways to send and to show
SELECT 1 AS one, 'two' AS two \gdesc
SELECT id, title FROM library.book WHERE id < 4 ORDER BY id \gx
SELECT format('SELECT %s AS n', n) FROM generate_series(1, 3) AS n \gexec
SELECT id AS first_id, title AS first_title FROM library.book ORDER BY id LIMIT 1 \gset got_
\echo :got_first_id :got_first_title
SELECT :got_first_id + 1, :'got_first_title', :"got_first_title" FROM (SELECT 1 AS "Title 1 \ ""x""	") AS s;
SELECT day::text, reader, count(*) FROM library.visit WHERE day < '2026-01-20' GROUP BY 1, 2 \crosstabview reader day
SELECT id FROM library.book ORDER BY id \g (format=csv tuples_only=on)
\set FETCH_COUNT 7
SELECT id, title FROM library.book ORDER BY id;
\unset FETCH_COUNT
SELECT 1 \; SELECT 2 \; SELECT 3;
\set ECHO_HIDDEN on
\dn
\set ECHO_HIDDEN off
\echo == copies
\copy library.book (id, title, cover) TO STDOUT
\copy (SELECT id, price FROM library.book ORDER BY id LIMIT 3) TO STDOUT WITH (FORMAT csv, HEADER)
COPY library.author (id, name) TO STDOUT;
\echo == transactions and errors
BEGIN;
SELECT 1 / 0;
SELECT 1;
ROLLBACK;
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT 'after the savepoint';
COMMIT;
SELECT nope FROM library.book;
\errverbose
SELECT * FROM library.nope;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
DECLARE c SCROLL CURSOR FOR SELECT id FROM library.book ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
MOVE ABSOLUTE 50 IN c;
FETCH ALL FROM c;
CLOSE c;
COMMIT;
PREPARE p (integer) AS SELECT title FROM library.book WHERE id = $1;
EXECUTE p (3);
DEALLOCATE p;
SET TIME ZONE 'Europe/Paris';
SELECT added FROM library.book WHERE id = 1;
SET datestyle = 'SQL, DMY';
SELECT added FROM library.book WHERE id = 1;
RESET ALL;
SHOW ALL \g /dev/null
DISCARD ALL;
\timing on
\timing off
EXPLAIN (COSTS OFF, VERBOSE) SELECT title FROM library.book WHERE id = 3;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT id FROM library.book WHERE id = 3;
TABLE library.thing;
VALUES (1, 'a'), (2, NULL);
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT * FROM t;
SELECT pg_size_pretty(1048576::bigint), current_database(), current_schemas(true), has_table_privilege('library.book', 'SELECT');
LISTEN news;
UNLISTEN news;
\c -
SELECT 'a new connection';
