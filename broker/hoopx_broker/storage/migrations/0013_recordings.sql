-- Where each recording is, from its seal on; the row stays when it is deleted. Times are seconds since the Unix epoch,
-- 0 is never.

CREATE TABLE recordings (
    session TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    home TEXT NOT NULL, -- of the broker on whose disk it was written
    sealed_at REAL NOT NULL,
    class TEXT NOT NULL, -- of retention, as its target had it when it was sealed
    kept_until REAL NOT NULL, -- what was promised then; 0 is for good
    state TEXT NOT NULL CHECK (state IN ('local', 'waiting', 'stored', 'deleting', 'deleted')),
    is_local INTEGER NOT NULL DEFAULT 1, -- its file is still on the disk where it was written
    store TEXT NOT NULL DEFAULT '',
    version TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL DEFAULT 0,
    sha256 TEXT NOT NULL DEFAULT '',
    stored_at REAL NOT NULL DEFAULT 0,
    broker TEXT NOT NULL DEFAULT '', -- the one that is at it
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at REAL NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT '',
    held_there INTEGER NOT NULL DEFAULT 0, -- the store itself was told of a hold
    deleted_at REAL NOT NULL DEFAULT 0,
    deleted_by TEXT NOT NULL DEFAULT ''
);
CREATE INDEX recordings_waiting ON recordings (home, due_at) WHERE state = 'waiting';
CREATE INDEX recordings_twice ON recordings (home) WHERE state = 'stored' AND is_local = 1;
CREATE INDEX recordings_by_age ON recordings (sealed_at, session) WHERE state <> 'deleted';
CREATE INDEX recordings_held_there ON recordings (session) WHERE held_there = 1;
CREATE INDEX events_sealed ON events (at) WHERE type = 'session.sealed';

-- Who wants a recording kept beyond its time, and why. One that was released stays, to be looked up.
CREATE TABLE holds (
    id TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    reason TEXT NOT NULL,
    held_by TEXT NOT NULL,
    held_at REAL NOT NULL,
    released_by TEXT NOT NULL DEFAULT '',
    released_at REAL NOT NULL DEFAULT 0,
    release_reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX holds_in_force ON holds (session) WHERE released_at = 0;
CREATE INDEX holds_by_time ON holds (held_at);
