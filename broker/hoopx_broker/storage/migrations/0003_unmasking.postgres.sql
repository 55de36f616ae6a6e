-- Requests of a third kind: to see classes of masked data raw for a while. Times are seconds since the Unix epoch.

ALTER TABLE requests DROP CONSTRAINT requests_kind_check;
ALTER TABLE requests ADD CONSTRAINT requests_kind_check CHECK (kind IN ('session', 'statement', 'unmask'));
ALTER TABLE requests ADD COLUMN classes TEXT NOT NULL DEFAULT '[]'; -- JSON array: what a request to unmask is for

-- What sessions saw raw by such a request; `ended_at` is 0 while they do.
CREATE TABLE unmaskings (
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    classes TEXT NOT NULL, -- JSON array
    began_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (session, request)
);
