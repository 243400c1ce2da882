-- What is due, and the lists that departments work from. The same rules as in domain/case.py; tests compare them on random histories.

-- migrate:up

-- The highest routing that triage or a transfer names, and the transfer that answers it (redress_events/placement.py).
CREATE FUNCTION routing_of(heard jsonb, done jsonb) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN greatest((heard ->> 'routing')::bigint, (done #>> '{transfer,routing}')::bigint, 0);

CREATE FUNCTION transfer_of(heard jsonb, done jsonb) RETURNS jsonb IMMUTABLE LANGUAGE sql
    RETURN CASE WHEN (done #>> '{transfer,routing}')::bigint = routing_of(heard, done) THEN done -> 'transfer' END;

CREATE FUNCTION stage_of(heard jsonb, done jsonb) RETURNS text IMMUTABLE LANGUAGE sql
    RETURN CASE
        WHEN coalesce((done ->> 'cycle')::bigint, 0) = 0 THEN 'none'
        WHEN (done ->> 'cycle')::bigint < coalesce((heard ->> 'cycle')::bigint, 1) THEN 'none'
        WHEN done ? 'outcome' THEN done #>> '{outcome,kind}'
        WHEN (done #>> '{accepted,routing}')::bigint = routing_of(heard, done)
            AND (done #>> '{accepted,transfer}')::bigint = coalesce((transfer_of(heard, done) ->> 'number')::bigint, 0) THEN 'accepted'
        ELSE 'open'
    END;

-- More urgent first, then the one that was received first. Microseconds since 1970 stay below 2^53 until 2255.
CREATE FUNCTION urgent_then_oldest(heard jsonb) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN least(greatest(coalesce((heard #>> '{registration,received_at}')::bigint, 0), 0), 9007199254740991)
        - least(
            coalesce((heard ->> 'urgency')::bigint, 0) + (coalesce(heard #>> '{classification,severity}', '') = 'major')::int, 500
        ) * 9007199254740992;

ALTER TABLE state
    ADD COLUMN cycle bigint GENERATED ALWAYS AS (coalesce((heard ->> 'cycle')::bigint, 1)) STORED,
    ADD COLUMN closed bigint GENERATED ALWAYS AS (coalesce((heard ->> 'closed')::bigint, 0)) STORED,
    ADD COLUMN routing bigint GENERATED ALWAYS AS (coalesce((heard ->> 'routing')::bigint, 0)) STORED,
    ADD COLUMN done_cycle bigint GENERATED ALWAYS AS (coalesce((done ->> 'cycle')::bigint, 0)) STORED,
    ADD COLUMN outcome text GENERATED ALWAYS AS (done #>> '{outcome,kind}') STORED,
    ADD COLUMN department text GENERATED ALWAYS AS (coalesce(transfer_of(heard, done) ->> 'department', heard ->> 'department')) STORED,
    ADD COLUMN stage text GENERATED ALWAYS AS (stage_of(heard, done)) STORED,
    ADD COLUMN to_do bigint GENERATED ALWAYS AS (
        CASE WHEN stage_of(heard, done) IN ('open', 'accepted') THEN urgent_then_oldest(heard) END
    ) STORED,
    ADD COLUMN latest_end bigint GENERATED ALWAYS AS (
        CASE WHEN stage_of(heard, done) IN ('resolved', 'rejected', 'cancelled') THEN - (done #>> '{outcome,at}')::bigint END
    ) STORED;

CREATE INDEX state_to_open ON state (subject) WHERE routing > 0 AND done_cycle < cycle AND closed < cycle;
CREATE INDEX state_to_cancel ON state (subject) WHERE done_cycle > 0 AND outcome IS NULL AND closed >= done_cycle;
CREATE INDEX state_to_do ON state (to_do, subject) WHERE to_do IS NOT NULL;
CREATE INDEX state_latest_end ON state (latest_end, subject) WHERE latest_end IS NOT NULL;

-- migrate:down
DROP INDEX state_latest_end, state_to_do, state_to_cancel, state_to_open;
ALTER TABLE state
    DROP COLUMN latest_end, DROP COLUMN to_do, DROP COLUMN stage, DROP COLUMN department, DROP COLUMN outcome, DROP COLUMN done_cycle,
    DROP COLUMN routing, DROP COLUMN closed, DROP COLUMN cycle;
DROP FUNCTION urgent_then_oldest, stage_of, transfer_of, routing_of;
