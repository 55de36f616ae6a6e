-- Whose a lease is, and what its target was: a lease exists before the row of its session does, and may outlive its
-- target in the configuration. Judged by the labels it had then.

ALTER TABLE leases ADD COLUMN holder TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN on_behalf_of TEXT;
ALTER TABLE leases ADD COLUMN issuer TEXT NOT NULL DEFAULT ''; -- of the holder's identity
ALTER TABLE leases ADD COLUMN kind TEXT NOT NULL DEFAULT 'postgres';
ALTER TABLE leases ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'; -- JSON object

-- Those of before had their sessions stored.
UPDATE leases SET
    holder = coalesce((SELECT "user" FROM sessions WHERE lease = leases.id LIMIT 1), ''),
    on_behalf_of = (SELECT on_behalf_of FROM sessions WHERE lease = leases.id LIMIT 1);
