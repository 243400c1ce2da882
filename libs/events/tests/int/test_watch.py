"""What is slow gets done in the end."""

from __future__ import annotations


from spine_log import Author, pen, subject_of, verified
from spine_stack import Stack, eventually, registered

from redress_events.contracts.intake import ComplaintChased
from redress_events.projector import BATCH
from redress_events.states import partition_of

async def test_a_batch_that_takes_longer_than_a_transaction_may_is_folded_in_smaller_ones(stack: Stack) -> None:
    owner = await stack.connect("handling", owner=True)
    await owner.execute("CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN new; END'")
    await owner.execute("CREATE TRIGGER slowly BEFORE INSERT OR UPDATE ON state FOR EACH ROW EXECUTE FUNCTION slowly()")
    subjects = [subject for subject in map(subject_of, range(1, 2_000)) if partition_of(subject, stack.partitions) == 0][:400]
    authors = [Author(subject) for subject in subjects]
    async with pen(stack) as hand:
        for author in authors:
            await hand.write(*author.say(registered()))
        handling = await stack.engine("handling", work=[])

        async def folded() -> bool:
            return bool(await owner.fetchval("SELECT count(*) FROM state") == len(subjects))

        await eventually(folded, within=90)
        await owner.execute("DROP TRIGGER slowly ON state")
        for author in authors[:20]:
            await hand.write(*author.say(ComplaintChased(chase=1)))

        async def grown() -> bool:
            return handling.projector.size == BATCH

        await eventually(grown)
    await stack.stop(handling)
    await owner.close()
    await verified(stack, "handling")
