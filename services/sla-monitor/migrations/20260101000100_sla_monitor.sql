-- Which clocks are to be started, settled or breached, as columns of the state. The deciders (domain/start.py, settle.py, breach.py) say the
-- same in Python; tests/int/test_sql_and_deciders_agree.py compares the two on random histories. Instants are epoch microseconds.

-- migrate:up

-- The clocks that have an end to be told or a newer classification to be answered, or that are breached though they ended in time.
-- (A classify clock answers no classification, 0; but any that is said ends it.)
CREATE FUNCTION clocks_to_settle(heard jsonb, done jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN EXISTS (
    SELECT FROM jsonb_array_elements(done -> 'clocks') c
    CROSS JOIN LATERAL (SELECT (heard #>> ARRAY['ends', (c ->> 'clock') || '/' || (c ->> 'cycle'), 'at'])::bigint AS at) e
    WHERE
        NOT c ? 'ended' AND (e.at IS NOT NULL OR (heard ->> 'said')::int > coalesce((c ->> 'classification')::int, 0))
        OR c ->> 'verdict' = 'breached' AND e.at <= (c ->> 'deadline')::bigint
);

-- The first instant at which a clock is late that runs and has nothing to settle: what happens at the deadline is in time.
CREATE FUNCTION next_breach(heard jsonb, done jsonb) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (
    SELECT min((c ->> 'deadline')::bigint) + 1 FROM jsonb_array_elements(done -> 'clocks') c
    WHERE
        NOT c ? 'ended' AND NOT c ? 'verdict'
        AND NOT coalesce(heard -> 'ends', '{}') ? ((c ->> 'clock') || '/' || (c ->> 'cycle'))
        AND coalesce((heard ->> 'said')::int, 0) <= coalesce((c ->> 'classification')::int, 0)
);

-- The earliest deadline that is breached, not annulled, and of a clock that still runs.
CREATE FUNCTION late_since(done jsonb) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (
    SELECT min((c ->> 'deadline')::bigint) FROM jsonb_array_elements(done -> 'clocks') c WHERE c ->> 'verdict' = 'breached' AND NOT c ? 'ended'
);

ALTER TABLE state
    ADD COLUMN to_start boolean GENERATED ALWAYS AS (NOT coalesce(done -> 'started', '[]') @> coalesce(heard -> 'wanted', '[]')) STORED,
    ADD COLUMN to_settle boolean GENERATED ALWAYS AS (clocks_to_settle(heard, done)) STORED,
    ADD COLUMN next_breach bigint GENERATED ALWAYS AS (next_breach(heard, done)) STORED,
    ADD COLUMN late_since bigint GENERATED ALWAYS AS (late_since(done)) STORED,
    ADD COLUMN department text GENERATED ALWAYS AS (heard ->> 'department') STORED;

CREATE INDEX state_to_start ON state (subject) WHERE to_start;
CREATE INDEX state_to_settle ON state (subject) WHERE to_settle;
CREATE INDEX state_next_breach ON state (next_breach, subject) WHERE next_breach IS NOT NULL;
CREATE INDEX state_late_since ON state (late_since, subject) WHERE late_since IS NOT NULL;
-- The same lists for the handlers of one department.
CREATE INDEX state_next_breach_of ON state (department, next_breach, subject) WHERE next_breach IS NOT NULL;
CREATE INDEX state_late_since_of ON state (department, late_since, subject) WHERE late_since IS NOT NULL;

-- migrate:down
ALTER TABLE state DROP COLUMN department, DROP COLUMN late_since, DROP COLUMN next_breach, DROP COLUMN to_settle, DROP COLUMN to_start;
DROP FUNCTION late_since, next_breach, clocks_to_settle;
