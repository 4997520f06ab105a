"""Hypothesis profiles: everyday runs repeat exactly; soak runs look further (``make soak``)."""

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("soak", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile("ci")
