-- Removing what nobody needs any more, and looking for contradictions.

-- name: prune_choose
-- Outcomes that ended before a time and may go, as (id, shard, ended_us) in the order of their end. Rows of a batch that is kept or
-- not finished stay, and so does a parent whose dependents are still to be told; and so do later days, which go as a whole.
-- from_us, before_us, beyond: an id, limit
SELECT id, shard, ended_us FROM outcome
WHERE ended_us >= :from_us::bigint AND ended_us < :before_us::bigint AND id < :beyond::bigint
    AND shard NOT IN (SELECT shard.id FROM batch JOIN shard ON shard.batch = batch.id WHERE batch.keep OR batch.unfinished)
    AND NOT EXISTS (SELECT 1 FROM release WHERE release.parent = outcome.id)
    AND NOT EXISTS (SELECT 1 FROM step WHERE step.task = outcome.id AND step.task <> 0)
ORDER BY ended_us, id LIMIT :limit::bigint;

-- name: runs_going
-- Mark runs that ended before a time: from now on nobody finds them.
-- before_us, limit
UPDATE run SET going = true WHERE id IN (
    SELECT id FROM run WHERE state >= 6 AND NOT going AND ended_us < :before_us::bigint ORDER BY ended_us, id LIMIT :limit::bigint
);

-- name: steps_forget
-- Steps of runs that go.
-- limit
DELETE FROM step USING (
    SELECT step.run, step.number, step.item FROM run JOIN step ON step.run = run.id WHERE run.going LIMIT :limit::bigint
) AS old WHERE step.run = old.run AND step.number = old.number AND step.item = old.item;

-- name: runs_forget
-- Runs that go and have no steps any more.
DELETE FROM run WHERE going AND NOT EXISTS (SELECT 1 FROM step WHERE step.run = run.id);

-- name: definitions_forget
-- Definitions of no run, unless their workflow was published.
DELETE FROM definition WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.version = definition.version)
    AND NOT EXISTS (SELECT 1 FROM fact WHERE fact.component = 'workflow'::bytea AND fact.key = convert_to(definition.name, 'UTF8'));

-- name: outcomes_remove
-- Outcomes that are pruned.
-- ids
DELETE FROM outcome WHERE id = ANY (:ids::bigint[])
    AND id >= (SELECT min(id) FROM unnest(:ids::bigint[]) AS given (id))
    AND id <= (SELECT max(id) FROM unnest(:ids::bigint[]) AS given (id));

-- name: day_over
-- Whether every task of a day ended before a time.
-- day, before_us
SELECT day_over(:day::integer, :before_us::bigint);

-- name: day_count
-- The next ended tasks of a range of ids by shard, as (shard, tasks, last id).
-- after, beyond, limit
WITH some_of_it AS MATERIALIZED (
    SELECT id, shard FROM outcome WHERE id > :after::bigint AND id < :beyond::bigint ORDER BY id LIMIT :limit::bigint
)
SELECT shard, count(*), max(id) FROM some_of_it GROUP BY shard;

-- name: day_drop
-- Drop a day that is over and of which nothing must stay; false: not now.
-- day, before_us, shards and counts: its tasks
SELECT day_drop(:day::integer, :before_us::bigint, :shards::bigint[], :counts::bigint[]);

-- name: day_fold
-- Move what is left of a day to the rest when it is little; false: not now.
-- day, most
SELECT day_fold(:day::integer, :most::bigint);

-- name: batches_forget
-- Finished batches older than a time of which no task is left.
-- before_us
DELETE FROM batch WHERE NOT unfinished AND NOT keep AND created_us < :before_us::bigint
AND NOT EXISTS (SELECT 1 FROM shard WHERE shard.batch = batch.id AND shard.batch <> 0 AND shard.tasks > 0);

-- name: shards_forget_unused
-- Shards without tasks that no core holds in memory.
-- held, limit
DELETE FROM shard WHERE id IN (
    SELECT id FROM shard WHERE tasks = 0 AND id <> ALL (:held::bigint[])
    AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch AND batch.unfinished) ORDER BY id LIMIT :limit::bigint
);

-- name: shards_forget_batches
-- Shards of batches that are no more, whoever holds them in memory.
DELETE FROM shard WHERE tasks = 0 AND batch <> 0 AND NOT EXISTS (SELECT 1 FROM batch WHERE batch.id = shard.batch);

-- name: keys_forget
-- Idempotency keys that are over.
-- now_us, limit
DELETE FROM idempotency WHERE (tenant, key) IN (
    SELECT tenant, key FROM idempotency WHERE until_us <= :now_us::bigint ORDER BY until_us, tenant, key LIMIT :limit::bigint
);

-- name: clock_of
-- The latest time that the ledger has seen.
SELECT clock_us FROM owner;

-- name: fact_log_forget
-- Old values of facts.
-- before_us, limit
DELETE FROM fact_log WHERE (component, key, version) IN (
    SELECT component, key, version FROM fact_log WHERE at_us < :before_us::bigint ORDER BY at_us LIMIT :limit::bigint
);

-- name: check_both
-- Tasks that are live and ended at once.
SELECT count(*) FROM live JOIN outcome ON outcome.id = live.id;

-- name: check_shards
-- Tasks of a shard that does not exist.
SELECT (SELECT count(*) FROM live WHERE NOT EXISTS (SELECT 1 FROM shard WHERE shard.id = live.shard))
    + (SELECT count(*) FROM outcome WHERE NOT EXISTS (SELECT 1 FROM shard WHERE shard.id = outcome.shard));

-- name: check_counts
-- Shards that count their tasks wrongly.
WITH held AS (
    SELECT shard, sum(tasks) AS tasks FROM (
        SELECT shard, count(*) AS tasks FROM live GROUP BY shard
        UNION ALL
        SELECT shard, count(*) FROM outcome GROUP BY shard
    ) AS counted GROUP BY shard
)
SELECT count(*) FROM shard LEFT JOIN held ON held.shard = shard.id WHERE shard.tasks <> coalesce(held.tasks, 0);

-- name: check_arguments
-- Live tasks without arguments.
SELECT count(*) FROM live WHERE NOT EXISTS (SELECT 1 FROM payload WHERE payload.id = live.id);

-- name: check_orphans
-- Arguments, checkpoints and histories of tasks that do not exist.
SELECT
    (SELECT count(*) FROM payload WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = payload.id)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = payload.id))
    + (SELECT count(*) FROM history_part WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = task)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = task))
    + (SELECT count(*) FROM checkpoint WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = checkpoint.id));

-- name: check_releases
-- Parents to be released that did not end.
SELECT count(*) FROM release WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = parent);

-- name: check_links
-- Dependencies on tasks that do not exist.
SELECT count(*) FROM link WHERE NOT EXISTS (SELECT 1 FROM live WHERE live.id = parent)
    AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = parent);

-- name: check_steps
-- Steps of a run that does not exist, or whose task does not.
SELECT count(*) FROM step WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = step.run)
    OR (task <> 0 AND NOT EXISTS (SELECT 1 FROM live WHERE live.id = task)
        AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.id = task));

-- name: check_runs
-- Runs without their definition, and ended ones of which a task still lives.
SELECT (SELECT count(*) FROM run WHERE NOT EXISTS (SELECT 1 FROM definition WHERE definition.version = run.version))
    + (SELECT count(DISTINCT run.id) FROM run JOIN step ON step.run = run.id JOIN live ON live.id = step.task WHERE run.state >= 6);

-- name: check_ids
-- Tasks, batches and runs with an id above the highest one recorded: a new one could get the same id.
SELECT count(*) FROM (
    SELECT max(id) AS id FROM live UNION ALL SELECT max(id) FROM outcome UNION ALL SELECT max(id) FROM batch
    UNION ALL SELECT max(id) FROM run
) AS highest WHERE id > (SELECT id_high FROM owner);

-- name: check_batches
-- Batches that count their ended rows wrongly; of finished ones that are not kept, rows may be pruned.
WITH counted AS (
    SELECT shard.batch, outcome.state::integer AS state, count(*)::bigint AS rows
    FROM outcome JOIN shard ON shard.id = outcome.shard WHERE shard.batch <> 0 GROUP BY shard.batch, outcome.state
), said AS (
    SELECT batch.id AS batch, ended.key::integer AS state, ended.value::bigint AS rows
    FROM batch, json_each_text(batch.ended) AS ended WHERE ended.value::bigint <> 0
), judged AS (
    SELECT id FROM batch WHERE keep OR unfinished
)
SELECT count(*) FROM judged WHERE EXISTS (
    SELECT state, rows FROM counted WHERE counted.batch = judged.id EXCEPT SELECT state, rows FROM said WHERE said.batch = judged.id
) OR EXISTS (
    SELECT state, rows FROM said WHERE said.batch = judged.id EXCEPT SELECT state, rows FROM counted WHERE counted.batch = judged.id
);
