-- How the key that signs the log was replaced: notes that the old key and the new one signed, from 1 without a gap.

CREATE TABLE rotations (
    number BIGINT PRIMARY KEY,
    note TEXT NOT NULL
);

CREATE TRIGGER rotations_are_not_changed BEFORE UPDATE ON rotations FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('rotation notes are only added to');
CREATE TRIGGER rotations_are_kept BEFORE DELETE ON rotations FOR EACH ROW
EXECUTE FUNCTION hoopx_refuse('rotation notes are only added to');
CREATE TRIGGER rotations_are_all_kept BEFORE TRUNCATE ON rotations FOR EACH STATEMENT
EXECUTE FUNCTION hoopx_refuse('rotation notes are only added to');
