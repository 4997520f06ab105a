"""From an event log, of either world, to tables, measures with their uncertainty, and plots."""
