// A day of node-postgres and of postgres.js: reading every way they have, or writing every way they have.
import { once } from "node:events";
import pg from "pg";
import copy from "pg-copy-streams";
import Cursor from "pg-cursor";
import postgres from "postgres";

const say = (...told) => console.log(JSON.stringify(told));
const url = process.env.DATABASE_URL;
const options = { max: 3, onnotice: (notice) => say("notice", notice.message) };

async function pgReads() {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  say((await client.query("SELECT id, title, tags, extra, cover, added FROM library.book WHERE id < $1 ORDER BY id", [4])).rows);
  const many = await client.query("SELECT 1 AS one; SELECT 'two' AS two");
  say(many.map((each) => each.rows));
  for (const id of [1, 2, 3]) {
    const named = { name: "by-id", text: "SELECT title, pages FROM library.book WHERE id = $1", values: [id] };
    say((await client.query({ ...named, rowMode: "array" })).rows);
  }
  say(await Promise.all([5, 6, 7].map(async (n) => (await client.query("SELECT $1::int AS n", [n])).rows)));
  const cursor = client.query(new Cursor("SELECT id FROM library.book ORDER BY id"));
  say(await cursor.read(7), (await cursor.read(100)).length);
  await cursor.close();
  const chunks = [];
  for await (const chunk of client.query(copy.to("COPY library.thing TO STDOUT"))) chunks.push(chunk);
  say(Buffer.concat(chunks).toString());
  for (const asked of ["SELECT 1/0", "SELECT nope", "SELECT $1::int"]) {
    const told = await client.query(asked, asked.includes("$1") ? ["x"] : []).catch((error) => error);
    say(told.code, told.message, told.position);
  }
  await client.end();
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  say(await Promise.all([...Array(20).keys()].map(async (n) => (await pool.query("SELECT $1::int + 1 AS n", [n])).rows[0].n)));
  await pool.end();
}

async function postgresReads() {
  const sql = postgres(url, options);
  say(await sql`SELECT id, title, tags, extra, ratio FROM library.book WHERE id IN ${sql([1, 2, 3])} ORDER BY id`);
  say(await sql.begin("read only", async (sql) => [await sql`SELECT 1 AS a`, await sql`SELECT ${"x"}::text AS b`]));
  let sum = 0;
  await sql`SELECT id FROM library.book`.cursor(7, (rows) => { sum += rows.reduce((a, b) => a + b.id, 0); });
  say(sum, await sql`SELECT name, feels FROM ${sql("library.author")} ORDER BY id`);
  say((await sql`SELECT title FROM library.book WHERE id = ${1}`.describe()).columns.map((column) => column.name));
  say(await Promise.all([...Array(20).keys()].map(async (n) => (await sql`SELECT ${n}::int AS n`)[0].n)));
  say(await sql`SELECT 1/0`.catch((error) => [error.code, error.message]));
  const slow = sql`SELECT pg_sleep(30)`.execute();
  setTimeout(() => slow.cancel(), 200);
  say(await slow.catch((error) => error.code), await sql`SELECT 'goes on' AS it`);
  say(await sql.unsafe("SELECT 1 AS a; SELECT 2 AS b"));
  await sql.end();
}

async function pgWrites() {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("CREATE TEMP TABLE node_day (id int PRIMARY KEY, name text, data jsonb)");
  await client.query("BEGIN");
  for (let n = 0; n < 20; n += 1) await client.query("INSERT INTO node_day VALUES ($1, $2, $3)", [n, `it's ${n}`, { n }]);
  await client.query("COMMIT");
  const into = client.query(copy.from("COPY node_day (id, name) FROM STDIN"));
  for (let n = 100; n < 1100; n += 1) into.write(`${n}\tcopied ${n}\n`);
  into.end();
  await once(into, "finish");
  say((await client.query("SELECT count(*), max(name), sum(id) FROM node_day")).rows, into.rowCount);
  const told = await client.query("INSERT INTO node_day VALUES (1)").catch((error) => error);
  say(told.code, told.constraint, told.detail);
  client.on("notice", (notice) => say("notice", notice.message));
  await client.query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$");
  await client.query("LISTEN news");
  const heard = once(client, "notification");
  await client.query("NOTIFY news, 'node'");
  say((await heard)[0].payload);
  await client.end();
}

async function postgresWrites() {
  const sql = postgres(url, { ...options, max: 1 });
  await sql`CREATE TEMP TABLE postgres_day (id int PRIMARY KEY, name text, data jsonb)`;
  const rows = [...Array(50).keys()].map((n) => ({ id: n, name: `it's ${n}`, data: sql.json({ n }) }));
  say((await sql`INSERT INTO postgres_day ${sql(rows)} RETURNING id`).length);
  const into = await sql`COPY postgres_day (id, name) FROM STDIN`.writable();
  for (let n = 100; n < 1100; n += 1) into.write(`${n}\tcopied ${n}\n`);
  into.end();
  await once(into, "finish");
  await sql.begin((sql) => [sql`UPDATE postgres_day SET ${sql({ name: "changed" })} WHERE id = 1`, sql`SELECT 1`]);
  await sql.begin(async (sql) => {
    await sql.savepoint((sql) => sql`INSERT INTO postgres_day (id) VALUES (1)`).catch((error) => say(error.constraint_name));
    say(await sql`SELECT count(*)::int, min(name), sum(id)::int FROM postgres_day`);
  });
  await sql.end();
}

const days = { reads: [pgReads, postgresReads], writes: [pgWrites, postgresWrites] };
for (const part of days[process.argv[2]]) await part();
console.log("the day is over");
