-- The embedded issuer: its signing keys and the refresh tokens it gave. Times are seconds since the Unix epoch.

-- `pem` is the private key (PKCS #8); the schema is readable by the broker's role alone.
CREATE TABLE identity_keys (
    kid TEXT PRIMARY KEY,
    pem TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('current', 'next', 'retired')),
    since DOUBLE PRECISION NOT NULL
);

-- One row for each refresh token, by its SHA-256: the token itself is never stored. The tokens of one login share a
-- family. A spent token stays until its family ends, so that its second use is noticed.
CREATE TABLE identity_refresh (
    hash TEXT PRIMARY KEY,
    family TEXT NOT NULL,
    "user" TEXT NOT NULL,
    client TEXT NOT NULL,
    scope TEXT NOT NULL,
    signed_in_at DOUBLE PRECISION NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    family_ends_at DOUBLE PRECISION NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX identity_refresh_by_family ON identity_refresh (family);
CREATE INDEX identity_refresh_by_end ON identity_refresh (family_ends_at);
