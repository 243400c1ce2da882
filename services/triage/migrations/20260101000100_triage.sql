-- What is to be classified, and what waits for a person, as columns of the state. Absent keys are defaults: cycle 1, closed 0, number 0.
-- Instants are epoch microseconds.

-- migrate:up
CREATE FUNCTION is_open(heard jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN coalesce((heard ->> 'closed')::int, 0) < coalesce((heard ->> 'cycle')::int, 1);

ALTER TABLE state
    ADD COLUMN to_classify boolean GENERATED ALWAYS AS (
        heard ? 'registered_at' AND NOT coalesce(done -> 'classification' ? 'number', false) AND is_open(heard)
    ) STORED,
    ADD COLUMN review_since bigint GENERATED ALWAYS AS (
        CASE WHEN is_open(heard) THEN (done ->> 'review_since')::bigint END
    ) STORED;

CREATE INDEX state_to_classify ON state (subject) WHERE to_classify;
CREATE INDEX state_review_since ON state (review_since, subject) WHERE review_since IS NOT NULL;

-- migrate:down
ALTER TABLE state DROP COLUMN review_since, DROP COLUMN to_classify;
DROP FUNCTION is_open;
