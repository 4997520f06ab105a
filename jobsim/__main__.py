"""Lets ``python -m jobsim`` do what ``jobsim`` does."""

from jobsim.cli import main

if __name__ == "__main__":
    main()
