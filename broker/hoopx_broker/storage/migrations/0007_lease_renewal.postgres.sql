-- Leases that are renewed, and such as their source cannot call back. Times are seconds since the Unix epoch.

ALTER TABLE leases ADD COLUMN renewals INTEGER NOT NULL DEFAULT 0;
ALTER TABLE leases ADD COLUMN fades_at DOUBLE PRECISION; -- when it ends by itself, where nothing ends it before
