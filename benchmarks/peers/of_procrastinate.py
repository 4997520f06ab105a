"""Procrastinate on PostgreSQL."""

import asyncio
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from peers.base import Put


class Procrastinate:
    """Its psycopg connector with as many connections as slots, ten at most; an async task; LISTEN."""

    settings: ClassVar[str] = "psycopg connector, up to 10 connections; async task; LISTEN"
    batches: ClassVar[bool] = True

    def __init__(self, where: str) -> None:
        self._where = where
        self._handle: Callable[[int], None] = lambda _: None

    def _app(self, connections: int) -> tuple[Any, Any]:
        module = import_module("procrastinate")
        connector = module.PsycopgConnector(conninfo=self._where, min_size=1, max_size=connections)
        app = module.App(connector=connector)

        async def noop(number: int) -> None:
            self._handle(number)

        return app, app.task(name="noop", pass_context=False)(noop)

    def prepare(self) -> None:
        async def make() -> None:
            app, _ = self._app(1)
            async with app.open_async():
                await app.schema_manager.apply_schema_async()

        asyncio.run(make())

    async def connect(self) -> Put:
        app, task = self._app(1)
        await app.open_async()

        async def put(numbers: Sequence[int]) -> None:
            if len(numbers) == 1:
                await task.defer_async(number=numbers[0])
            else:
                await task.batch_defer_async(*({"number": number} for number in numbers))

        return put

    def work(self, slots: int, jobs: int | None, handle: Callable[[int], None]) -> None:
        self._handle = handle

        async def run() -> None:
            app, _ = self._app(min(slots + 1, 10))
            async with app.open_async():
                await app.run_worker_async(concurrency=slots, wait=jobs is None)

        asyncio.run(run())
