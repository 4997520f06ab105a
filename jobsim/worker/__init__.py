"""The worker's loops, which await nothing but the runtime's verbs."""
