"""The command line: what people type goes in, what they can read or pipe comes out.

Data goes to stdout, everything else to stderr. Modules here import nothing heavy at their top, so that
help and shell completion answer at once; commands import what they need when they run.
"""

from jobsim.cli.app import main

__all__ = ["main"]
