-- What happened in the control plane, in the order in which it was written down; each becomes a leaf of the log.
-- `event` is the leaf itself, JSON; the other columns are what people look for. Times are seconds since the Unix epoch.

CREATE TABLE events (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at DOUBLE PRECISION NOT NULL,
    type TEXT NOT NULL,
    "user" TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL,
    target TEXT NOT NULL,
    session TEXT NOT NULL,
    request TEXT NOT NULL,
    lease TEXT NOT NULL,
    event TEXT NOT NULL,
    leaf BIGINT UNIQUE -- its index in the log, from 0; NULL until it is in
);
CREATE INDEX events_waiting ON events (number) WHERE leaf IS NULL;
CREATE INDEX events_by_session ON events (session, type) WHERE session <> '';
CREATE INDEX events_by_time ON events (at);
CREATE INDEX events_by_type ON events (type, number);
CREATE INDEX events_of_logins ON events ("user", at) WHERE type = 'login.accepted';

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events FOR EACH ROW
WHEN (OLD.leaf IS NOT NULL OR NEW.leaf IS NULL OR NEW.number <> OLD.number OR NEW.id <> OLD.id OR NEW.event <> OLD.event)
EXECUTE FUNCTION hoopx_refuse('what happened is only added to');
CREATE TRIGGER events_are_kept BEFORE DELETE ON events FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('what happened is only added to');
CREATE TRIGGER events_are_all_kept BEFORE TRUNCATE ON events FOR EACH STATEMENT
EXECUTE FUNCTION hoopx_refuse('what happened is only added to');

-- The log as far as it is signed: one row. `key` is the newest evidence key: whoever has it may sign.
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL,
    key TEXT NOT NULL, -- its public half
    sequencer TEXT NOT NULL, -- the broker that signs; another one when that is gone
    size BIGINT NOT NULL,
    checkpoint TEXT NOT NULL -- the newest signed note; empty until there is one
);

CREATE TRIGGER log_only_grows BEFORE UPDATE ON log FOR EACH ROW
WHEN (OLD.origin <> NEW.origin OR NEW.size < OLD.size OR NEW.one <> OLD.one)
EXECUTE FUNCTION hoopx_refuse('the log only grows');
CREATE TRIGGER log_is_kept BEFORE DELETE ON log FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('the log only grows');
CREATE TRIGGER log_is_all_kept BEFORE TRUNCATE ON log FOR EACH STATEMENT
EXECUTE FUNCTION hoopx_refuse('the log only grows');
