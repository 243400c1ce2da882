-- A complaint is found by its number, and no number is given twice.

-- migrate:up
ALTER TABLE state
    ADD COLUMN number text GENERATED ALWAYS AS (done ->> 'number') STORED,
    ADD COLUMN registered_at bigint GENERATED ALWAYS AS ((done ->> 'registered_at')::bigint) STORED;
CREATE UNIQUE INDEX state_number ON state (number);

-- migrate:down
DROP INDEX state_number;
ALTER TABLE state DROP COLUMN registered_at, DROP COLUMN number;
