"""PgQueuer on PostgreSQL. Completions are written up to 0.1 s late: a crash runs those jobs again."""

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from peers.base import Put


class PgQueuer:
    """Its asyncpg driver, an async entry point, LISTEN; batches as large as the slots allow: half of them."""

    settings: ClassVar[str] = "asyncpg; async entry point; batch = slots / 2; durable tables; LISTEN"
    batches: ClassVar[bool] = True

    def __init__(self, where: str) -> None:
        self._where = where

    async def _queries(self) -> Any:
        connection = await import_module("asyncpg").connect(self._where)
        return import_module("pgqueuer.queries").Queries.from_asyncpg_connection(connection)

    def prepare(self) -> None:
        async def make() -> None:
            queries = await self._queries()
            await queries.install()
            await queries.optimize_autovacuum()

        asyncio.run(make())

    async def connect(self) -> Put:
        queries = await self._queries()

        async def put(numbers: Sequence[int]) -> None:
            payloads = [b"%d" % number for number in numbers]
            if len(numbers) == 1:
                await queries.enqueue("noop", payloads[0], 0)
            else:
                await queries.enqueue(["noop"] * len(numbers), payloads, [0] * len(numbers))

        return put

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        asyncio.run(self._work(slots, jobs, handle))

    async def _work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        modes = import_module("pgqueuer.types").QueueExecutionMode
        connection = await import_module("asyncpg").connect(self._where)
        worker = import_module("pgqueuer").PgQueuer.from_asyncpg_connection(connection)

        async def noop(job: Any) -> None:
            handle(int(job.payload))

        worker.entrypoint("noop")(noop)
        await worker.qm.run(
            batch_size=max(1, slots // 2),
            max_concurrent_tasks=max(2, slots),
            mode=modes.continuous if jobs is None else modes.drain,
        )
