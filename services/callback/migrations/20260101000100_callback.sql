-- What is due, and the visits that agents work from. The same rules as in domain/visit.py; tests compare them on random histories.

-- migrate:up

-- The customer said something that the department did not know when it ended the case, and no attempt has followed.
CREATE FUNCTION unanswered_of(heard jsonb, done jsonb) RETURNS boolean IMMUTABLE LANGUAGE sql
    RETURN coalesce((heard ->> 'said')::bigint, 0)
        > greatest(coalesce((done ->> 'said')::bigint, 0), coalesce((heard #>> '{handled,said}')::bigint, 0));

-- Set while it is an agent's turn: when the customer is to be called.
CREATE FUNCTION visit_at_of(heard jsonb, done jsonb) RETURNS bigint IMMUTABLE LANGUAGE sql
    RETURN CASE
        WHEN coalesce((done ->> 'scheduled')::bigint, 0) >= coalesce((done ->> 'cycle')::bigint, 1)
            AND coalesce((done ->> 'closed')::bigint, 0) < coalesce((done ->> 'cycle')::bigint, 1)
            AND coalesce((heard ->> 'withdrawal')::bigint, 0) <= coalesce((done ->> 'answered')::bigint, 0)
            AND (done ->> 'give_up_at' IS NULL OR unanswered_of(heard, done))
        THEN least(
            coalesce(done ->> 'next_at', done ->> 'due_at')::bigint,
            CASE WHEN unanswered_of(heard, done) THEN (heard ->> 'said_at')::bigint END
        )
    END;

ALTER TABLE state
    ADD COLUMN cycle bigint GENERATED ALWAYS AS (coalesce((done ->> 'cycle')::bigint, 1)) STORED,
    ADD COLUMN scheduled bigint GENERATED ALWAYS AS (coalesce((done ->> 'scheduled')::bigint, 0)) STORED,
    ADD COLUMN closed bigint GENERATED ALWAYS AS (coalesce((done ->> 'closed')::bigint, 0)) STORED,
    ADD COLUMN answered bigint GENERATED ALWAYS AS (coalesce((done ->> 'answered')::bigint, 0)) STORED,
    ADD COLUMN withdrawal bigint GENERATED ALWAYS AS (coalesce((heard ->> 'withdrawal')::bigint, 0)) STORED,
    ADD COLUMN handled_cycle bigint GENERATED ALWAYS AS (coalesce((heard #>> '{handled,cycle}')::bigint, 0)) STORED,
    ADD COLUMN give_up_at bigint GENERATED ALWAYS AS ((done ->> 'give_up_at')::bigint) STORED,
    ADD COLUMN unanswered boolean GENERATED ALWAYS AS (unanswered_of(heard, done)) STORED,
    -- Whoever said something first, then the longest overdue. Microseconds since 1970 stay below 2^53 until 2255.
    ADD COLUMN to_call bigint GENERATED ALWAYS AS (
        visit_at_of(heard, done) - unanswered_of(heard, done)::int * 9007199254740992
    ) STORED,
    -- Both lists are sorted and without repetition, so equal sets are equal arrays.
    ADD COLUMN revision_due boolean GENERATED ALWAYS AS (
        done ? 'revision' AND coalesce(heard -> 'breaches', '[]') <> coalesce(done -> 'published', '[]')
    ) STORED;

CREATE INDEX state_to_schedule ON state (subject)
    WHERE handled_cycle = cycle AND scheduled < cycle AND closed < cycle AND withdrawal <= answered;
CREATE INDEX state_withdrawn ON state (subject) WHERE withdrawal > answered AND closed < cycle;
CREATE INDEX state_give_up ON state (give_up_at, subject)
    WHERE give_up_at IS NOT NULL AND NOT unanswered AND closed < cycle AND withdrawal <= answered;
CREATE INDEX state_revision_due ON state (subject) WHERE revision_due;
CREATE INDEX state_visits ON state (to_call, subject) WHERE to_call IS NOT NULL;

-- migrate:down
DROP INDEX state_visits, state_revision_due, state_give_up, state_withdrawn, state_to_schedule;
ALTER TABLE state
    DROP COLUMN revision_due, DROP COLUMN to_call, DROP COLUMN unanswered, DROP COLUMN give_up_at, DROP COLUMN handled_cycle, DROP COLUMN withdrawal,
    DROP COLUMN answered, DROP COLUMN closed, DROP COLUMN scheduled, DROP COLUMN cycle;
DROP FUNCTION visit_at_of, unanswered_of;
