-- Tokens that are bound to a key, and identities that are not let in any more. Times are seconds since the Unix epoch.

-- A token that its provider bound to no key, by its SHA-256, and the thumbprint of the key that it first came with.
CREATE TABLE identity_bindings (
    token TEXT PRIMARY KEY,
    thumbprint TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX identity_bindings_by_end ON identity_bindings (expires_at);

-- When the key of a login was first seen: that is when the login began, whatever its renewed tokens say.
CREATE TABLE identity_logins (
    thumbprint TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    began_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (thumbprint, issuer, subject)
);
CREATE INDEX identity_logins_by_time ON identity_logins (began_at);

-- `name` is a user; for logins that their provider ended, the subject there (`nameless`: of logins without an id), or the
-- provider's id of the login.
CREATE TABLE identity_revocations (
    kind TEXT NOT NULL CHECK (kind IN ('user', 'former', 'subject', 'nameless', 'login')),
    issuer TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL, -- logins that began until then are over; a user stays out until restored, and is `former` then
    revoked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (kind, issuer, name)
);

-- Logout tokens that came, so that each counts once.
CREATE TABLE identity_logouts (
    issuer TEXT NOT NULL,
    jti TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (issuer, jti)
);
