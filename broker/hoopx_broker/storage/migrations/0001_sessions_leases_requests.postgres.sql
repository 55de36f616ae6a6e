-- Sessions, leases and requests for approval. Times are seconds since the Unix epoch.

-- The members of a JSON text, as SQLite's json_each gives them.
CREATE FUNCTION json_members(members TEXT) RETURNS TABLE (key TEXT, value TEXT)
LANGUAGE sql IMMUTABLE AS $$
    SELECT (each.place - 1)::TEXT, each.value
    FROM jsonb_array_elements_text(
        CASE jsonb_typeof(members::JSONB) WHEN 'array' THEN members::JSONB ELSE '[]'::JSONB END
    ) WITH ORDINALITY AS each (value, place)
    UNION ALL
    SELECT each.key, each.value
    FROM jsonb_each_text(
        CASE jsonb_typeof(members::JSONB) WHEN 'object' THEN members::JSONB ELSE '{}'::JSONB END
    ) AS each (key, value)
$$;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    "user" TEXT NOT NULL,
    on_behalf_of TEXT,
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'ended', 'unfinished')),
    opened_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    request TEXT,
    lease TEXT NOT NULL,
    statements BIGINT NOT NULL DEFAULT 0,
    denied BIGINT NOT NULL DEFAULT 0,
    why_ended TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_by_time ON sessions (opened_at);
CREATE INDEX sessions_by_user ON sessions ("user", opened_at);
CREATE INDEX sessions_open ON sessions (state) WHERE state = 'open';

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    "user" TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('pending', 'live', 'ending', 'ended')),
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    handle TEXT NOT NULL DEFAULT '{}', -- how it is revoked; never a secret
    doubtful_until DOUBLE PRECISION NOT NULL DEFAULT 0, -- an issuing that was cut off may still be finished until then
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
);
CREATE INDEX leases_unended ON leases (state) WHERE state <> 'ended';
CREATE INDEX leases_by_time ON leases (created_at);

CREATE FUNCTION leases_ended_is_final() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an ended lease stays ended' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER leases_ended_is_final BEFORE UPDATE ON leases FOR EACH ROW
WHEN (OLD.state = 'ended' AND NEW.state <> 'ended')
EXECUTE PROCEDURE leases_ended_is_final();

CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'denied', 'cancelled', 'expired', 'used')),
    kind TEXT NOT NULL CHECK (kind IN ('session', 'statement')),
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    on_behalf_of TEXT,
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    duration INTEGER NOT NULL,
    statement TEXT NOT NULL,
    policy TEXT NOT NULL,
    rules TEXT NOT NULL, -- JSON array
    approvers TEXT NOT NULL, -- JSON object: group to quorum
    likeness TEXT NOT NULL, -- the same for two requests that ask the same
    created_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL -- the end of the waiting; once approved, the end of the time to use it
);
-- What makes asking twice the same as asking once.
CREATE UNIQUE INDEX requests_alive ON requests (likeness) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_due ON requests (expires_at) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_by_time ON requests (created_at);

-- The second wall behind the desk: no way leads out of an end, and only an approval is used.
CREATE FUNCTION requests_decided_is_final() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a decided request stays decided' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER requests_decided_is_final BEFORE UPDATE ON requests FOR EACH ROW
WHEN (NEW.state <> OLD.state AND (
    OLD.state IN ('denied', 'cancelled', 'expired', 'used')
    OR (OLD.state = 'waiting' AND NEW.state = 'used')
    OR (OLD.state = 'approved' AND NEW.state NOT IN ('used', 'cancelled', 'expired'))
))
EXECUTE PROCEDURE requests_decided_is_final();

CREATE TABLE ballots (
    request TEXT NOT NULL REFERENCES requests (id),
    person TEXT NOT NULL, -- the human behind the vote: one vote each
    approver TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'deny')),
    comment TEXT NOT NULL,
    groups TEXT NOT NULL, -- JSON array: those of the asked groups that the approver was in
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (request, person)
);
