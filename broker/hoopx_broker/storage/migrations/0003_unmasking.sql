-- Requests of a third kind: to see classes of masked data raw for a while. Times are seconds since the Unix epoch.

-- SQLite cannot change a CHECK, so the table is made anew, and with it what refers to it.
CREATE TABLE ballots_before AS SELECT * FROM ballots;
DROP TABLE ballots;
CREATE TABLE requests_before AS SELECT * FROM requests;
DROP TABLE requests;

CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'denied', 'cancelled', 'expired', 'used')),
    kind TEXT NOT NULL CHECK (kind IN ('session', 'statement', 'unmask')),
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    on_behalf_of TEXT,
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    duration INTEGER NOT NULL,
    statement TEXT NOT NULL,
    classes TEXT NOT NULL DEFAULT '[]', -- JSON array: what a request to unmask is for
    policy TEXT NOT NULL,
    rules TEXT NOT NULL, -- JSON array
    approvers TEXT NOT NULL, -- JSON object: group to quorum
    likeness TEXT NOT NULL, -- the same for two requests that ask the same
    created_at REAL NOT NULL,
    -- The end of the waiting; once approved, the end of the time to use it, or of the time that is unmasked.
    expires_at REAL NOT NULL
);
INSERT INTO requests (
    id, state, kind, target, requester, on_behalf_of, reason, ticket, duration, statement, policy, rules, approvers,
    likeness, created_at, expires_at
)
SELECT
    id, state, kind, target, requester, on_behalf_of, reason, ticket, duration, statement, policy, rules, approvers,
    likeness, created_at, expires_at
FROM requests_before;
DROP TABLE requests_before;
CREATE UNIQUE INDEX requests_alive ON requests (likeness) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_due ON requests (expires_at) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_by_time ON requests (created_at);

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
INSERT INTO ballots (request, person, approver, verdict, comment, groups, at)
SELECT request, person, approver, verdict, comment, groups, at FROM ballots_before;
DROP TABLE ballots_before;

-- What sessions saw raw by such a request; `ended_at` is 0 while they do.
CREATE TABLE unmaskings (
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    classes TEXT NOT NULL, -- JSON array
    began_at REAL NOT NULL,
    ended_at REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (session, request)
);
