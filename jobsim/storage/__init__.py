"""Stores: one contract (`base`), a store in memory, and one on SQLite."""
