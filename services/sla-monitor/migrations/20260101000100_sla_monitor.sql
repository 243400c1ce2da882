-- Which clocks are to be started, settled or breached, as columns of the state. The deciders (domain/start.py, settle.py, breach.py) say the
-- same in Python; tests/int/test_sql_and_deciders_agree.py compares the two on random histories. Instants are epoch microseconds.

-- migrate:up

-- When this cycle, or a later one, was closed first.
CREATE FUNCTION closed_at(heard jsonb, of_cycle int) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (
    SELECT min((c ->> 'closed_at')::bigint) FROM jsonb_array_elements(heard -> 'cycles') c WHERE (c ->> 'number')::int >= of_cycle
);

CREATE FUNCTION classified_at(heard jsonb) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (SELECT min((s ->> 'at')::bigint) FROM jsonb_array_elements(heard -> 'classifications') s);

-- The earliest fact that meets the clock or closes the complaint; for a resolve clock a reopening where neither is known.
CREATE FUNCTION end_at(heard jsonb, clock text, of_cycle int) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN coalesce(
    least(
        CASE clock
            WHEN 'classify' THEN classified_at(heard)
            ELSE (SELECT (c ->> 'met_at')::bigint FROM jsonb_array_elements(heard -> 'cycles') c WHERE (c ->> 'number')::int = of_cycle)
        END,
        closed_at(heard, of_cycle)
    ),
    (
        SELECT min((c ->> 'starts_at')::bigint) FROM jsonb_array_elements(heard -> 'cycles') c
        WHERE clock = 'resolve' AND (c ->> 'number')::int > of_cycle
    )
);

-- Each clock with what is known of it: `over` when it has ended, `known` when it has to be answered (its end, or a newer classification).
CREATE FUNCTION watched(heard jsonb, done jsonb)
RETURNS TABLE (deadline bigint, verdict text, over boolean, ends bigint, known boolean) IMMUTABLE PARALLEL SAFE LANGUAGE sql
BEGIN ATOMIC
    SELECT
        (i ->> 'deadline')::bigint,
        coalesce(i ->> 'verdict', 'none'),
        i ? 'ended',
        e.ends,
        e.ends IS NOT NULL OR i ->> 'clock' = 'resolve' AND EXISTS (
            SELECT FROM jsonb_array_elements(heard -> 'classifications') s
            WHERE (s ->> 'number')::int > coalesce((i ->> 'classification')::int, 0)
        )
    FROM jsonb_array_elements(done -> 'clocks') i
    CROSS JOIN LATERAL (SELECT end_at(heard, i ->> 'clock', (i ->> 'cycle')::int) AS ends) e;
END;

CREATE FUNCTION clocks_to_start(heard jsonb, done jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN EXISTS (
    SELECT FROM jsonb_array_elements(heard -> 'cycles') c
    WHERE c ? 'starts_at' AND (
        (c ->> 'number')::int = 1
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(done -> 'clocks') i WHERE i ->> 'clock' = 'classify')
        OR heard ? 'classifications'
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(done -> 'clocks') i WHERE i ->> 'clock' = 'resolve' AND i -> 'cycle' = c -> 'number')
        AND coalesce(closed_at(heard, (c ->> 'number')::int) > classified_at(heard), true)
    )
);

CREATE FUNCTION clocks_to_settle(heard jsonb, done jsonb) RETURNS boolean IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN EXISTS (SELECT FROM watched(heard, done) w WHERE NOT w.over AND w.known OR w.verdict = 'breached' AND w.ends <= w.deadline);

-- The first late instant: what happens at the deadline is in time.
CREATE FUNCTION next_breach(heard jsonb, done jsonb) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (SELECT min(w.deadline) + 1 FROM watched(heard, done) w WHERE NOT w.over AND NOT w.known AND w.verdict = 'none');

-- The earliest deadline that is breached, not annulled, and of a clock that still runs.
CREATE FUNCTION late_since(done jsonb) RETURNS bigint IMMUTABLE PARALLEL SAFE LANGUAGE sql
RETURN (
    SELECT min((i ->> 'deadline')::bigint) FROM jsonb_array_elements(done -> 'clocks') i WHERE i ->> 'verdict' = 'breached' AND NOT i ? 'ended'
);

ALTER TABLE state
    ADD COLUMN to_start boolean GENERATED ALWAYS AS (clocks_to_start(heard, done)) STORED,
    ADD COLUMN to_settle boolean GENERATED ALWAYS AS (clocks_to_settle(heard, done)) STORED,
    ADD COLUMN next_breach bigint GENERATED ALWAYS AS (next_breach(heard, done)) STORED,
    ADD COLUMN late_since bigint GENERATED ALWAYS AS (late_since(done)) STORED;

CREATE INDEX state_to_start ON state (subject) WHERE to_start;
CREATE INDEX state_to_settle ON state (subject) WHERE to_settle;
CREATE INDEX state_next_breach ON state (next_breach, subject) WHERE next_breach IS NOT NULL;
CREATE INDEX state_late_since ON state (late_since, subject) WHERE late_since IS NOT NULL;

-- migrate:down
ALTER TABLE state DROP COLUMN late_since, DROP COLUMN next_breach, DROP COLUMN to_settle, DROP COLUMN to_start;
DROP FUNCTION late_since, next_breach, clocks_to_settle, clocks_to_start, watched, end_at, classified_at, closed_at;
