-- What sessions are found by: whose they are, and what stands in their recordings. Times are seconds since the Unix epoch.

-- Everybody who ever had a session on a target: who may see which sessions is judged for each of these once.
CREATE TABLE session_owners (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target TEXT NOT NULL,
    "user" TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL, -- empty for nobody
    UNIQUE (target, "user", on_behalf_of)
);
INSERT INTO session_owners (target, "user", on_behalf_of)
SELECT DISTINCT target, "user", coalesce(on_behalf_of, '') FROM sessions;

ALTER TABLE sessions ADD COLUMN owner BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET owner = (
    SELECT session_owners.number FROM session_owners
    WHERE session_owners.target = sessions.target AND session_owners."user" = sessions."user"
        AND session_owners.on_behalf_of = coalesce(sessions.on_behalf_of, '')
);
-- 0: its marks are still made (while it is open) or to be made from its recording; 1: they are all there; 2: it has more
-- than are kept, so its recording is read; 3: some are missing, and its recording cannot be read.
ALTER TABLE sessions ADD COLUMN marked INTEGER NOT NULL DEFAULT 0 CHECK (marked IN (0, 1, 2, 3));
-- 1: the words of its statements are not kept, because its recording is encrypted.
ALTER TABLE sessions ADD COLUMN wordless INTEGER NOT NULL DEFAULT 0 CHECK (wordless IN (0, 1));

DROP INDEX sessions_by_time;
CREATE INDEX sessions_by_time ON sessions (opened_at, id);
CREATE INDEX sessions_by_owner ON sessions (owner, opened_at, id);
CREATE INDEX sessions_unsure ON sessions (owner, opened_at, id) WHERE marked <> 1;
CREATE INDEX sessions_wordless ON sessions (owner, opened_at, id) WHERE wordless = 1;

-- Each word, table, rule, … of a session once. By owner first: what somebody may not see costs them no time either.
CREATE TABLE session_marks (
    owner BIGINT NOT NULL,
    kind TEXT NOT NULL,
    mark TEXT NOT NULL,
    opened_at DOUBLE PRECISION NOT NULL,
    session TEXT NOT NULL,
    PRIMARY KEY (owner, kind, mark, opened_at, session)
);
