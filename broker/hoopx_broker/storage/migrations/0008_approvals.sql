-- Requests with conditions, persons, keys, a journal and broken glass. Times are seconds since the Unix epoch.

-- SQLite cannot change a CHECK, so the table is made anew, and with it what refers to it.
CREATE TABLE ballots_before AS SELECT * FROM ballots;
DROP TABLE ballots;
CREATE TABLE requests_before AS SELECT * FROM requests;
DROP TABLE requests;

CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'denied', 'cancelled', 'expired', 'used')),
    kind TEXT NOT NULL CHECK (kind IN ('session', 'statement', 'unmask', 'extension')),
    target TEXT NOT NULL,
    requester TEXT NOT NULL,
    on_behalf_of TEXT,
    known_as TEXT NOT NULL DEFAULT '[]', -- JSON array: what else the persons behind the requester are known by
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    duration INTEGER NOT NULL,
    session TEXT NOT NULL DEFAULT '', -- the one that is held, or would go on
    statement TEXT NOT NULL,
    canonical TEXT NOT NULL DEFAULT '', -- the statement as its grammar reads it
    effects TEXT, -- JSON object: told to those who decide, binds nothing
    classes TEXT NOT NULL DEFAULT '[]', -- JSON array: what a request to unmask is for
    policy TEXT NOT NULL,
    rules TEXT NOT NULL, -- JSON array
    approvers TEXT NOT NULL, -- JSON object: group to quorum
    conditions TEXT NOT NULL DEFAULT '{}', -- JSON object: what the rules demand beside approvers
    glass INTEGER NOT NULL DEFAULT 0 CHECK (glass IN (0, 1)), -- 1: it went through at once
    review TEXT NOT NULL DEFAULT '' CHECK (review IN ('', 'open', 'accepted', 'objected')),
    likeness TEXT NOT NULL, -- the same for two requests that ask the same
    created_at REAL NOT NULL,
    -- The end of the waiting; once approved, the end of the time to use it, or of the time that is unmasked.
    expires_at REAL NOT NULL
);
INSERT INTO requests (
    id, state, kind, target, requester, on_behalf_of, reason, ticket, duration, statement, classes, policy, rules,
    approvers, likeness, created_at, expires_at
)
SELECT
    id, state, kind, target, requester, on_behalf_of, reason, ticket, duration, statement, classes, policy, rules,
    approvers, likeness, created_at, expires_at
FROM requests_before;
DROP TABLE requests_before;
CREATE UNIQUE INDEX requests_alive ON requests (likeness) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_due ON requests (expires_at) WHERE state IN ('waiting', 'approved');
CREATE INDEX requests_by_time ON requests (created_at);
CREATE INDEX requests_by_human ON requests (coalesce(on_behalf_of, requester), created_at);
-- Of the few that wait, or are to be reviewed: how many of whom, and which are the newest.
CREATE INDEX requests_waiting ON requests (created_at) WHERE state = 'waiting';
CREATE INDEX requests_waiting_of ON requests (coalesce(on_behalf_of, requester)) WHERE state = 'waiting';
CREATE INDEX requests_open ON requests (created_at) WHERE review = 'open';
CREATE INDEX requests_open_of ON requests (coalesce(on_behalf_of, requester)) WHERE review = 'open';
CREATE INDEX requests_approved ON requests (kind, created_at) WHERE state = 'approved';

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

-- Nothing goes through that nobody decided, but through broken glass.
CREATE TRIGGER requests_begin_waiting BEFORE INSERT ON requests
WHEN (NEW.glass = 0 AND (NEW.state <> 'waiting' OR NEW.review <> ''))
    OR (NEW.glass = 1 AND (NEW.state NOT IN ('used', 'approved') OR NEW.review <> 'open'))
BEGIN
    SELECT RAISE(ABORT, 'a request begins waiting, or through broken glass and to be reviewed');
END;

CREATE TRIGGER requests_reviewed_is_final BEFORE UPDATE OF review ON requests
WHEN NEW.review <> OLD.review AND (OLD.review <> 'open' OR NEW.review = '')
BEGIN
    SELECT RAISE(ABORT, 'a review stays as it was made');
END;

CREATE TRIGGER requests_are_for_what_was_asked BEFORE UPDATE OF
    id, kind, target, requester, on_behalf_of, known_as, reason, ticket, duration, session, statement, canonical,
    effects, classes, policy, rules, approvers, conditions, glass, likeness, created_at
ON requests
BEGIN
    SELECT RAISE(ABORT, 'what was asked stays as it was asked');
END;

CREATE TABLE ballots (
    request TEXT NOT NULL REFERENCES requests (id),
    person TEXT NOT NULL, -- the human behind the vote: one vote each
    known_as TEXT NOT NULL DEFAULT '[]', -- JSON array: all that this human is known by
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

-- As `ballots`, afterwards: on what went through broken glass.
CREATE TABLE reviews (
    request TEXT NOT NULL REFERENCES requests (id),
    person TEXT NOT NULL,
    known_as TEXT NOT NULL DEFAULT '[]',
    approver TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'object')),
    comment TEXT NOT NULL,
    groups TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (request, person)
);

-- The groups that may look at a request because they decide or review it.
CREATE TABLE request_groups (
    name TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES requests (id),
    PRIMARY KEY (name, request)
);
INSERT INTO request_groups (name, request)
SELECT asked.key, requests.id FROM requests, json_each(requests.approvers) AS asked;

-- What makes asking again, by the same key, the same ask.
CREATE TABLE request_keys (
    requester TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL, -- empty for nobody
    key TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES requests (id),
    ask TEXT NOT NULL, -- a hash of what was asked
    made_at REAL NOT NULL,
    PRIMARY KEY (requester, on_behalf_of, key)
);
CREATE INDEX request_keys_by_time ON request_keys (made_at);

-- All that happened to requests, in one chain.
CREATE TABLE requests_journal (
    number INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    at REAL NOT NULL,
    event TEXT NOT NULL, -- JSON object
    chain TEXT NOT NULL -- SHA-256, in hex, of the chain before and the event
);
CREATE INDEX requests_journal_by_request ON requests_journal (request, number);

CREATE TRIGGER requests_journal_is_not_changed BEFORE UPDATE ON requests_journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is only added to');
END;
CREATE TRIGGER requests_journal_is_kept BEFORE DELETE ON requests_journal
BEGIN
    SELECT RAISE(ABORT, 'the journal is only added to');
END;
