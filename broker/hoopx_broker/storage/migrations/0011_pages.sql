-- Browsers at the broker's own pages. Times are seconds since the Unix epoch.

-- Who is signed in, by the SHA-256 of the browser's cookie. `identity` is JSON, and holds no token.
CREATE TABLE page_visits (
    cookie TEXT PRIMARY KEY,
    person TEXT NOT NULL,
    identity TEXT NOT NULL,
    back_to TEXT NOT NULL,
    comment TEXT NOT NULL, -- what was written at `back_to` before the login
    began_at REAL NOT NULL,
    expires_at REAL NOT NULL
);
CREATE INDEX page_visits_by_person ON page_visits (person, began_at);
CREATE INDEX page_visits_by_end ON page_visits (expires_at);

-- On the way to an issuer, by the SHA-256 of its `state` and of the cookie of the browser that began. Each serves once.
CREATE TABLE page_trips (
    state TEXT PRIMARY KEY,
    browser TEXT NOT NULL,
    way TEXT NOT NULL,
    back_to TEXT NOT NULL,
    comment TEXT NOT NULL,
    peer TEXT NOT NULL,
    began_at REAL NOT NULL
);
CREATE INDEX page_trips_by_time ON page_trips (began_at);
CREATE INDEX page_trips_by_peer ON page_trips (peer, began_at);
