-- Checkpoints of the log with the cosignatures of witnesses: of each witness the newest that it cosigned, under the
-- key that had signed it, and older ones only where more witnesses cosigned those.

CREATE TABLE cosigned (
    size BIGINT NOT NULL,
    key TEXT NOT NULL, -- the public half of the evidence key by which the checkpoint is signed
    note TEXT NOT NULL,
    PRIMARY KEY (size, key)
);
