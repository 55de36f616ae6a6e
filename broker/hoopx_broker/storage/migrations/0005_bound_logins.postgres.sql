-- The embedded issuer: logins bound to a key, and assertions of agents, each good for one use.

-- The thumbprint (RFC 7638) of the key that a login is bound to; NULL where it is bound to none.
ALTER TABLE identity_refresh ADD COLUMN key TEXT;

-- Kept until the assertion would have ended by itself: what was used before a restart is not taken after it.
CREATE TABLE identity_assertions (
    agent TEXT NOT NULL,
    id TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (agent, id)
);
