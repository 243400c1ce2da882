-- A complaint is found by its number, and no number is given twice. Open ones are listed with whoever owes their next step.

-- migrate:up
ALTER TABLE state
    ADD COLUMN number text GENERATED ALWAYS AS (done ->> 'number') STORED,
    ADD COLUMN registered_at bigint GENERATED ALWAYS AS ((done ->> 'registered_at')::bigint) STORED,
    ADD COLUMN open_since bigint GENERATED ALWAYS AS (
        CASE WHEN coalesce((heard ->> 'closed')::int, 0) < coalesce((heard ->> 'cycle')::int, 1) THEN (done ->> 'registered_at')::bigint END
    ) STORED;
CREATE INDEX state_open ON state (open_since, subject) WHERE open_since IS NOT NULL;
CREATE UNIQUE INDEX state_number ON state (number);

-- migrate:down
DROP INDEX state_number, state_open;
ALTER TABLE state DROP COLUMN open_since, DROP COLUMN registered_at, DROP COLUMN number;
