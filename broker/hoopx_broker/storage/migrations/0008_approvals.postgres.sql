-- Requests with conditions, persons, keys, a journal and broken glass. Times are seconds since the Unix epoch.

ALTER TABLE requests DROP CONSTRAINT requests_kind_check;
ALTER TABLE requests ADD CONSTRAINT requests_kind_check
    CHECK (kind IN ('session', 'statement', 'unmask', 'extension'));
ALTER TABLE requests ADD COLUMN known_as TEXT NOT NULL DEFAULT '[]'; -- JSON array: what else the persons behind the requester are known by
ALTER TABLE requests ADD COLUMN session TEXT NOT NULL DEFAULT ''; -- the one that is held, or would go on
ALTER TABLE requests ADD COLUMN canonical TEXT NOT NULL DEFAULT ''; -- the statement as its grammar reads it
ALTER TABLE requests ADD COLUMN effects TEXT; -- JSON object: told to those who decide, binds nothing
ALTER TABLE requests ADD COLUMN conditions TEXT NOT NULL DEFAULT '{}'; -- JSON object: what the rules demand beside approvers
ALTER TABLE requests ADD COLUMN glass INTEGER NOT NULL DEFAULT 0 CHECK (glass IN (0, 1)); -- 1: it went through at once
ALTER TABLE requests ADD COLUMN review TEXT NOT NULL DEFAULT ''
    CHECK (review IN ('', 'open', 'accepted', 'objected'));
CREATE INDEX requests_by_human ON requests (coalesce(on_behalf_of, requester), created_at);
-- Of the few that wait, or are to be reviewed: how many of whom, and which are the newest.
CREATE INDEX requests_waiting ON requests (created_at) WHERE state = 'waiting';
CREATE INDEX requests_waiting_of ON requests (coalesce(on_behalf_of, requester)) WHERE state = 'waiting';
CREATE INDEX requests_open ON requests (created_at) WHERE review = 'open';
CREATE INDEX requests_open_of ON requests (coalesce(on_behalf_of, requester)) WHERE review = 'open';
CREATE INDEX requests_approved ON requests (kind, created_at) WHERE state = 'approved';

CREATE FUNCTION hoopx_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END;
$$;

-- Nothing goes through that nobody decided, but through broken glass.
CREATE TRIGGER requests_begin_waiting BEFORE INSERT ON requests FOR EACH ROW
WHEN ((NEW.glass = 0 AND (NEW.state <> 'waiting' OR NEW.review <> ''))
    OR (NEW.glass = 1 AND (NEW.state NOT IN ('used', 'approved') OR NEW.review <> 'open')))
EXECUTE FUNCTION hoopx_refuse('a request begins waiting, or through broken glass and to be reviewed');

CREATE TRIGGER requests_reviewed_is_final BEFORE UPDATE OF review ON requests FOR EACH ROW
WHEN (NEW.review <> OLD.review AND (OLD.review <> 'open' OR NEW.review = ''))
EXECUTE FUNCTION hoopx_refuse('a review stays as it was made');

CREATE TRIGGER requests_are_for_what_was_asked BEFORE UPDATE OF
    id, kind, target, requester, on_behalf_of, known_as, reason, ticket, duration, session, statement, canonical,
    effects, classes, policy, rules, approvers, conditions, glass, likeness, created_at
ON requests FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('what was asked stays as it was asked');

ALTER TABLE ballots ADD COLUMN known_as TEXT NOT NULL DEFAULT '[]'; -- JSON array: all that this human is known by

-- As `ballots`, afterwards: on what went through broken glass.
CREATE TABLE reviews (
    request TEXT NOT NULL REFERENCES requests (id),
    person TEXT NOT NULL,
    known_as TEXT NOT NULL DEFAULT '[]',
    approver TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('accept', 'object')),
    comment TEXT NOT NULL,
    groups TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (request, person)
);

-- The groups that may look at a request because they decide or review it.
CREATE TABLE request_groups (
    name TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES requests (id),
    PRIMARY KEY (name, request)
);
INSERT INTO request_groups (name, request)
SELECT asked.name, requests.id FROM requests, json_object_keys(requests.approvers::json) AS asked (name);

-- What makes asking again, by the same key, the same ask.
CREATE TABLE request_keys (
    requester TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL, -- empty for nobody
    key TEXT NOT NULL,
    request TEXT NOT NULL REFERENCES requests (id),
    ask TEXT NOT NULL, -- a hash of what was asked
    made_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (requester, on_behalf_of, key)
);
CREATE INDEX request_keys_by_time ON request_keys (made_at);

-- All that happened to requests, in one chain.
CREATE TABLE requests_journal (
    number BIGINT PRIMARY KEY,
    request TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    event TEXT NOT NULL, -- JSON object
    chain TEXT NOT NULL -- SHA-256, in hex, of the chain before and the event
);
CREATE INDEX requests_journal_by_request ON requests_journal (request, number);

CREATE TRIGGER requests_journal_is_not_changed BEFORE UPDATE OR DELETE ON requests_journal FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('the journal is only added to');
CREATE TRIGGER requests_journal_is_kept BEFORE TRUNCATE ON requests_journal FOR EACH STATEMENT
EXECUTE FUNCTION hoopx_refuse('the journal is only added to');
