-- A database with something of everything that clients read from a catalog, for those that must find all of it.
CREATE SCHEMA library;
CREATE SCHEMA "Odd Names";
SET search_path = library;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE address AS (street text, town text, code integer);
CREATE TYPE price_range AS RANGE (subtype = numeric);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN isbn AS text NOT NULL DEFAULT 'none' CONSTRAINT isbn_form CHECK (VALUE ~ '^[0-9-]+$|^none$');
CREATE SEQUENCE ticket START 100 INCREMENT 10 MAXVALUE 100000 CYCLE;
CREATE COLLATION plainly FROM "C";

CREATE TABLE author (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  born date,
  home address,
  feels mood DEFAULT 'ok',
  CONSTRAINT author_name_born UNIQUE (name, born)
);
CREATE TABLE book (
  id serial PRIMARY KEY,
  author_id bigint NOT NULL REFERENCES author ON DELETE CASCADE,
  isbn isbn UNIQUE,
  title varchar(200) NOT NULL COLLATE plainly,
  pages positive,
  price numeric(8, 2) CHECK (price >= 0),
  price_with_tax numeric(10, 2) GENERATED ALWAYS AS (price * 1.19) STORED,
  tags text[] DEFAULT '{}',
  extra jsonb,
  cover bytea,
  spoken_for tstzrange,
  costs price_range,
  words tsvector,
  token uuid DEFAULT '00000000-0000-4000-8000-000000000000',
  added timestamptz NOT NULL DEFAULT '2026-01-01 00:00:00+00',
  length interval,
  ratio double precision,
  CONSTRAINT book_title_not_empty CHECK (title <> '')
);
CREATE TABLE edition (
  book_id integer REFERENCES book,
  number smallint,
  PRIMARY KEY (book_id, number)
);
CREATE TABLE loan (
  edition_book integer NOT NULL,
  edition_number smallint NOT NULL,
  reader text NOT NULL,
  since date NOT NULL,
  FOREIGN KEY (edition_book, edition_number) REFERENCES edition (book_id, number)
    ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE visit (day date NOT NULL, reader text, what jsonb) PARTITION BY RANGE (day);
CREATE TABLE visit_2026_01 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE visit_2026_02 PARTITION OF visit FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE visit_other PARTITION OF visit DEFAULT;
CREATE TABLE thing (id integer PRIMARY KEY, label text);
CREATE TABLE toy (age integer) INHERITS (thing);
CREATE UNLOGGED TABLE scratch (value text);
CREATE TABLE "Odd Names"."Select" ("from" integer PRIMARY KEY, "ÜmläutColumn" text, "with space" boolean, "q""uote" text);

CREATE INDEX book_title_lower ON book (lower(title) DESC NULLS LAST) INCLUDE (pages) WHERE pages > 10;
CREATE INDEX book_words ON book USING gin (words);
CREATE INDEX visit_day ON visit (day);
CREATE STATISTICS book_pages_price ON pages, price FROM book;

CREATE VIEW cheap AS SELECT id, title, price FROM book WHERE price < 10 WITH CASCADED CHECK OPTION;
CREATE VIEW prolific (author, books) AS
  SELECT a.name, count(*) FROM author a JOIN book b ON b.author_id = a.id GROUP BY a.name;
CREATE MATERIALIZED VIEW longest AS SELECT title, pages FROM book ORDER BY pages DESC NULLS LAST LIMIT 3;
CREATE UNIQUE INDEX longest_title ON longest (title);

CREATE FUNCTION title_of(which integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT title FROM library.book WHERE id = which';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.words := to_tsvector('english', NEW.title);
  RETURN NEW;
END $$;
CREATE FUNCTION add_up(a integer, b integer DEFAULT 1, OUT total integer, OUT twice integer) LANGUAGE sql IMMUTABLE
  AS 'SELECT a + b, 2 * (a + b)';
CREATE PROCEDURE forget(INOUT how_many integer) LANGUAGE plpgsql AS $$ BEGIN how_many := 0; END $$;
CREATE AGGREGATE product(integer) (SFUNC = int4mul, STYPE = integer, INITCOND = '1');
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq, COMMUTATOR = ===);
CREATE CAST (mood AS integer) WITH INOUT;
CREATE TRIGGER book_touch BEFORE INSERT OR UPDATE OF title ON book FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE keep AS ON DELETE TO thing DO INSTEAD NOTHING;
CREATE POLICY readers ON loan FOR SELECT TO app_read USING (true);
CREATE TEXT SEARCH CONFIGURATION plain_words (COPY = simple);
CREATE PUBLICATION books FOR TABLE book;

COMMENT ON SCHEMA library IS 'Books, and who reads them';
COMMENT ON TABLE book IS 'One for each title; ''quoted'' and "quoted"';
COMMENT ON COLUMN book.pages IS 'Without the cover';
COMMENT ON FUNCTION title_of(integer) IS 'The title of a book';
COMMENT ON TYPE mood IS 'How an author feels';
COMMENT ON INDEX book_words IS 'For searching';

INSERT INTO author (name, born, home, feels) VALUES
  ('Ursula', '1929-10-21', ROW('Main St', 'Portland', 97210), 'happy'),
  ('Stanisław', '1921-09-12', NULL, 'sad'),
  ('Ödön', NULL, ROW(NULL, 'Fiume', NULL), DEFAULT);
INSERT INTO book (author_id, isbn, title, pages, price, tags, extra, cover, spoken_for, costs, length, ratio)
SELECT 1 + n % 3, format('978-%s', n), format(E'Title %s \\ "x"\t', n), 1 + n * 7, n % 20 + 0.5,
       ARRAY['tag' || n % 4, NULL, 'a,b'], jsonb_build_object('n', n, 'nested', jsonb_build_array(n, NULL)),
       decode(md5(n::text), 'hex'), tstzrange('2026-01-01 00:00:00+00', '2026-01-02 00:00:00+00'),
       price_range(n, NULL), make_interval(hours => n), n / 3.0
FROM generate_series(1, 60) AS n;
INSERT INTO edition SELECT id, 1 FROM book;
INSERT INTO loan SELECT book_id, number, 'Reader ' || book_id, '2026-03-01' FROM edition WHERE book_id < 10;
INSERT INTO visit SELECT DATE '2026-01-15' + n, 'Reader ' || n % 7, '{"a": [1, null]}' FROM generate_series(0, 59) AS n;
INSERT INTO thing VALUES (1, 'stone'), (2, NULL);
INSERT INTO toy VALUES (3, 'train', 4);
INSERT INTO "Odd Names"."Select" VALUES (1, 'ß', true, 'a"b'), (2, NULL, NULL, E'line\nbreak');
REFRESH MATERIALIZED VIEW longest;
SELECT lo_from_bytea(4711, 'a large object');
COMMENT ON LARGE OBJECT 4711 IS 'large';
RESET search_path;
ANALYZE;

GRANT USAGE ON SCHEMA library, "Odd Names" TO app_read, app_write;
GRANT SELECT ON ALL TABLES IN SCHEMA library, "Odd Names" TO app_read, app_write;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA library, "Odd Names", public TO app_read, app_write;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA library, "Odd Names" TO app_write;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA library TO app_write;
GRANT SELECT ON LARGE OBJECT 4711 TO app_read;
ALTER DEFAULT PRIVILEGES IN SCHEMA library GRANT SELECT ON TABLES TO app_read;
