"""The two worlds under one set of verbs: asyncio (`live`) and SimPy (`sim`)."""
