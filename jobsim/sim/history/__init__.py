"""Scenarios made of what happened: an event log in, a world out that behaves as the recorded one did."""
