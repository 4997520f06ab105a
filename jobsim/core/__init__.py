"""The pure part: values, the transition table, policies and the one retry decision.

Nothing here awaits, reads a clock, touches a database or makes randomness except `streams`.
"""
