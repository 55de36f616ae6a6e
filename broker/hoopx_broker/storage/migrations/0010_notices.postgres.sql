-- What notifiers are to be told, written in the transaction of what happened. Times are seconds since the Unix epoch.

CREATE TABLE notices (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of what happened
    id TEXT NOT NULL UNIQUE, -- of one happening for one notifier: what receivers drop repeats by
    notifier TEXT NOT NULL,
    request TEXT NOT NULL,
    happening TEXT NOT NULL, -- JSON
    view TEXT NOT NULL, -- JSON of the request then, without any text of a statement
    state TEXT NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'told', 'given-up')),
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at DOUBLE PRECISION NOT NULL,
    ends_at DOUBLE PRECISION NOT NULL, -- when it is given up
    claim TEXT NOT NULL DEFAULT '', -- who sends it now
    claimed_until DOUBLE PRECISION NOT NULL DEFAULT 0,
    last_error TEXT,
    settled_at DOUBLE PRECISION NOT NULL DEFAULT 0
);
-- Those that are due are few; those that were told stay for a week.
CREATE INDEX notices_due ON notices (notifier, request, number) WHERE state = 'due';
CREATE INDEX notices_settled ON notices (state, settled_at);

-- What a notifier remembers of a request: the message that it goes on with.
CREATE TABLE notice_threads (
    notifier TEXT NOT NULL,
    request TEXT NOT NULL,
    memory TEXT NOT NULL, -- JSON object of texts, never a secret
    told_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (notifier, request)
);

-- Who somebody at a receiver is to the broker: they signed in and said that the account is theirs.
CREATE TABLE linked_accounts (
    notifier TEXT NOT NULL,
    account TEXT NOT NULL,
    identity TEXT NOT NULL, -- JSON of who they were when they signed in; no token
    linked_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (notifier, account)
);

-- Codes by which an account is linked, once; the code itself is not kept.
CREATE TABLE link_codes (
    digest TEXT PRIMARY KEY,
    notifier TEXT NOT NULL,
    account TEXT NOT NULL,
    shown TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
);

-- Calls of receivers that were heard: none counts twice.
CREATE TABLE heard_calls (
    notifier TEXT NOT NULL,
    call TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (notifier, call)
);
