-- What is due, and the visits that agents work from. The same rules as in domain/visit.py; tests compare them on random histories.

-- migrate:up
ALTER TABLE state
    ADD COLUMN cycle bigint GENERATED ALWAYS AS (coalesce((done ->> 'cycle')::bigint, 1)) STORED,
    ADD COLUMN scheduled bigint GENERATED ALWAYS AS (coalesce((done ->> 'scheduled')::bigint, 0)) STORED,
    ADD COLUMN closed bigint GENERATED ALWAYS AS (coalesce((done ->> 'closed')::bigint, 0)) STORED,
    ADD COLUMN answered bigint GENERATED ALWAYS AS (coalesce((done ->> 'answered')::bigint, 0)) STORED,
    ADD COLUMN withdrawal bigint GENERATED ALWAYS AS (coalesce((heard ->> 'withdrawal')::bigint, 0)) STORED,
    ADD COLUMN handled_cycle bigint GENERATED ALWAYS AS (coalesce((heard #>> '{handled,cycle}')::bigint, 0)) STORED,
    ADD COLUMN give_up_at bigint GENERATED ALWAYS AS ((done ->> 'give_up_at')::bigint) STORED,
    -- Set while it is an agent's turn: when the customer is to be called.
    ADD COLUMN visit_at bigint GENERATED ALWAYS AS (
        CASE
            WHEN coalesce((done ->> 'scheduled')::bigint, 0) >= coalesce((done ->> 'cycle')::bigint, 1)
                AND coalesce((done ->> 'closed')::bigint, 0) < coalesce((done ->> 'cycle')::bigint, 1)
                AND coalesce((heard ->> 'withdrawal')::bigint, 0) <= coalesce((done ->> 'answered')::bigint, 0)
                AND done ->> 'give_up_at' IS NULL
            THEN coalesce(done ->> 'next_at', done ->> 'due_at')::bigint
        END
    ) STORED,
    -- Both lists are sorted and without repetition, so equal sets are equal arrays.
    ADD COLUMN revision_due boolean GENERATED ALWAYS AS (
        done ? 'revision' AND coalesce(heard -> 'breaches', '[]') <> coalesce(done -> 'published', '[]')
    ) STORED;

CREATE INDEX state_to_schedule ON state (subject)
    WHERE handled_cycle = cycle AND scheduled < cycle AND closed < cycle AND withdrawal <= answered;
CREATE INDEX state_withdrawn ON state (subject) WHERE withdrawal > answered AND closed < cycle;
CREATE INDEX state_give_up ON state (give_up_at, subject) WHERE give_up_at IS NOT NULL AND closed < cycle AND withdrawal <= answered;
CREATE INDEX state_revision_due ON state (subject) WHERE revision_due;
CREATE INDEX state_visits ON state (visit_at, subject) WHERE visit_at IS NOT NULL;

-- migrate:down
DROP INDEX state_visits, state_revision_due, state_give_up, state_withdrawn, state_to_schedule;
ALTER TABLE state
    DROP COLUMN revision_due, DROP COLUMN visit_at, DROP COLUMN give_up_at, DROP COLUMN handled_cycle, DROP COLUMN withdrawal,
    DROP COLUMN answered, DROP COLUMN closed, DROP COLUMN scheduled, DROP COLUMN cycle;
