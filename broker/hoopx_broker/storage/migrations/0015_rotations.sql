-- How the key that signs the log was replaced: notes that the old key and the new one signed, from 1 without a gap.

CREATE TABLE rotations (
    number INTEGER PRIMARY KEY,
    note TEXT NOT NULL
);

CREATE TRIGGER rotations_are_not_changed BEFORE UPDATE ON rotations
BEGIN
    SELECT RAISE(ABORT, 'rotation notes are only added to');
END;
CREATE TRIGGER rotations_are_kept BEFORE DELETE ON rotations
BEGIN
    SELECT RAISE(ABORT, 'rotation notes are only added to');
END;
