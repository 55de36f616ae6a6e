-- Proofs of possession that were used, as long as they could be used again: a minute or two. Not logged, because each
-- call writes one: what a crash of the server takes with it is no more than a restart of a broker on a file does.

CREATE UNLOGGED TABLE identity_proofs (
    digest TEXT PRIMARY KEY, -- of the key's thumbprint and the proof's id
    used_at DOUBLE PRECISION NOT NULL
);
CREATE INDEX identity_proofs_by_time ON identity_proofs (used_at);
