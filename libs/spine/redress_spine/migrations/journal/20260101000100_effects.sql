-- What a service does to the outside world: what is wanted, who is at it, and what came of it. No rebuild touches it: what was done is done.

-- migrate:up
CREATE TABLE effects (
    reactor text NOT NULL,
    key text NOT NULL,                          -- the same need has the same key; the other side gets it, and so can tell a repetition
    position bigint GENERATED ALWAYS AS IDENTITY,
    subject text NOT NULL,                      -- whose state it hangs on
    lane text NOT NULL,                         -- effects of one lane are done one after the other, in the order of their position
    target text NOT NULL,                       -- what may be slow or away: it gets a part of the pool, and no more
    data jsonb NOT NULL,                        -- what to do; nothing personal
    opens text[] NOT NULL,                      -- references of personal fields, opened when it is done
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'done', 'dead', 'dropped')),
    attempts int NOT NULL DEFAULT 0,            -- since it was wanted, or since an operator had it tried again
    wanted_at timestamptz NOT NULL DEFAULT now(),
    begun_at timestamptz,                       -- the first of these attempts
    retry_at timestamptz NOT NULL DEFAULT now(),
    owner text,                                 -- the lease: who is at it, and until when nobody else may be
    leased_until timestamptz,
    error text,                                 -- of the last attempt that failed
    result jsonb,
    finished_at timestamptz,
    who text,                                   -- the operator who dropped it, and why
    why text,
    PRIMARY KEY (reactor, key)
);
CREATE INDEX effects_waiting ON effects (reactor, retry_at, position) WHERE status = 'waiting';
CREATE INDEX effects_lane ON effects (reactor, lane, position) WHERE status = 'waiting';
CREATE INDEX effects_leased ON effects (reactor, target) WHERE status = 'waiting' AND owner IS NOT NULL;
CREATE INDEX effects_subject ON effects (reactor, subject, position);
CREATE INDEX effects_dead ON effects (finished_at) WHERE status = 'dead';
CREATE INDEX effects_finished ON effects (reactor, finished_at) WHERE status IN ('done', 'dropped') AND who IS NULL;

-- migrate:down
DROP TABLE effects;
