-- Proofs of possession that were used, as long as they could be used again. A broker on a file remembers them itself.

CREATE TABLE identity_proofs (
    digest TEXT PRIMARY KEY, -- of the key's thumbprint and the proof's id
    used_at REAL NOT NULL
);
CREATE INDEX identity_proofs_by_time ON identity_proofs (used_at);
