-- The brokers on this state, and what each of them has. Times are seconds since the Unix epoch.

CREATE TABLE brokers (
    id TEXT PRIMARY KEY, -- of one run of a broker
    home TEXT NOT NULL, -- the disk that it stands on: whoever starts there again may know that it is gone
    url TEXT NOT NULL,
    verifier TEXT NOT NULL, -- the public half of the key that signs its recordings
    since REAL NOT NULL,
    seen_at REAL NOT NULL, -- by the clock of the database, as `since` and `gone_at`
    gone_at REAL NOT NULL DEFAULT 0 -- 0 while it has what it has
);
CREATE INDEX brokers_here ON brokers (gone_at) WHERE gone_at = 0;

-- Which broker has it; empty where it was made before there were several.
ALTER TABLE leases ADD COLUMN broker TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN broker TEXT NOT NULL DEFAULT '';
-- 1 until the recording of an unfinished session is sealed, on the disk where it lies.
ALTER TABLE sessions ADD COLUMN unsealed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_unsealed ON sessions (unsealed) WHERE unsealed = 1;
-- Why the broker that has it is to end it.
ALTER TABLE sessions ADD COLUMN end_asked TEXT NOT NULL DEFAULT '';

-- What the newest token of a person and program said of their groups. No token, and nothing that proves one.
CREATE TABLE identity_groups (
    issuer TEXT NOT NULL,
    person TEXT NOT NULL,
    client TEXT NOT NULL,
    issued_at REAL NOT NULL,
    told_at REAL NOT NULL,
    identity TEXT NOT NULL, -- JSON
    PRIMARY KEY (issuer, person, client)
);
CREATE INDEX identity_groups_by_time ON identity_groups (told_at);
