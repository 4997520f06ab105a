"""A persistent job queue, and a simulator that runs the same engine."""
