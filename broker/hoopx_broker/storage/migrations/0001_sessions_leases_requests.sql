-- Sessions, leases and requests for approval. Times are seconds since the Unix epoch.
-- Plain SQL that SQLite 3.34 reads (what RHEL 9 ships): no STRICT tables, no RETURNING.

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    on_behalf_of TEXT,
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'ended', 'unfinished')),
    opened_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    ended_at REAL NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    request TEXT,
    lease TEXT NOT NULL,
    statements INTEGER NOT NULL DEFAULT 0,
    denied INTEGER NOT NULL DEFAULT 0,
    why_ended TEXT NOT NULL DEFAULT ''
);
CREATE INDEX sessions_by_time ON sessions (opened_at);
CREATE INDEX sessions_by_user ON sessions (user, opened_at);
CREATE INDEX sessions_open ON sessions (state) WHERE state = 'open';

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    user TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL CHECK (state IN ('pending', 'live', 'ending', 'ended')),
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    ended_at REAL NOT NULL DEFAULT 0,
    handle TEXT NOT NULL DEFAULT '{}', -- how it is revoked; never a secret
    doubtful_until REAL NOT NULL DEFAULT 0, -- an issuing that was cut off may still be finished by the source until then
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
);
CREATE INDEX leases_unended ON leases (state) WHERE state <> 'ended';
CREATE INDEX leases_by_time ON leases (created_at);

CREATE TRIGGER leases_ended_is_final BEFORE UPDATE OF state ON leases
WHEN OLD.state = 'ended' AND NEW.state <> 'ended'
BEGIN
    SELECT RAISE(ABORT, 'an ended lease stays ended');
END;

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
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL -- the end of the waiting; once approved, the end of the time to use it
);
-- What makes asking twice the same as asking once.
CREATE UNIQUE INDEX requests_alive ON requests (likeness) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_due ON requests (expires_at) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_by_time ON requests (created_at);

-- The second wall behind the desk: no way leads out of an end, and only an approval is used.
CREATE TRIGGER requests_decided_is_final BEFORE UPDATE OF state ON requests
WHEN NEW.state <> OLD.state AND (
    OLD.state IN ('denied', 'cancelled', 'expired', 'used')
    OR (OLD.state = 'waiting' AND NEW.state = 'used')
    OR (OLD.state = 'approved' AND NEW.state NOT IN ('used', 'cancelled', 'expired'))
)
BEGIN
    SELECT RAISE(ABORT, 'a decided request stays decided');
END;

CREATE TABLE ballots (
    request TEXT NOT NULL REFERENCES requests (id),
    person TEXT NOT NULL, -- the human behind the vote: one vote each
    approver TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'deny')),
    comment TEXT NOT NULL,
    groups TEXT NOT NULL, -- JSON array: those of the asked groups that the approver was in
    at REAL NOT NULL,
    PRIMARY KEY (request, person)
);
