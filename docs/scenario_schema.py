"""Writes the JSON Schema of scenario files into the package; ``make docs`` runs it."""

from pathlib import Path

from jobsim.sim import schema

if __name__ == "__main__":
    path = Path(schema.__file__).with_name(schema.SCHEMA_FILE)
    path.write_text(schema.schema_text(), encoding="utf-8")
