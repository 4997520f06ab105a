"""What a person is told about a scenario file that is wrong: file, line, key, and what to do."""

# ruff: noqa: E501 - a mistake and what is told about it read best as one row of a table

import re
from pathlib import Path

import pytest

from jobsim.core.errors import ConfigError
from jobsim.sim.scenario import Scenario

VALID = """\
schema = 1
name = "shop"
description = "d"
horizon = "1h"
drain = "1d"
seed = 1
compare = ["none", "mine"]

[workers]
count = 4
slots = 8
lease = "60s"
poll = "5s"
crash = { every = "2h", restart_after = "30s" }

[[jobs]]
kind = "charge"
queue = "default"
priority = 0
arrivals = { process = "poisson", rate = "12/s" }
service = { dist = "lognormal", mean = "250ms", cv = 1.0 }
failures = [
    { model = "independent", probability = 0.02 },
    # the outage
    { model = "outage", start = "20m", duration = "10m", probability = 1.0, takes = "2s" },
]

[policies.mine]
max_attempts = 5
max_age = "1h"
retry_on = ["OSError"]
backoff = { kind = "exponential", base = "1s", cap = "30s", jitter = { kind = "added", upto = "100ms" } }

[[jobs]]
kind = "receipt"
[jobs.arrivals]
process = "deterministic"
every = "1s"
[jobs.service]
dist = "exponential"
mean = "100ms"
[[jobs.failures]]
model = "permanent"
error = "LookupError: gone"
"""

FAILURES = "independent, outage, brownout, permanent, alternating, gilbert_elliott"
PROCESSES = (
    "poisson, deterministic, list, trace, replay, diurnal, ramp, spike, piecewise, mmpp, on_off, batches"
)


def told(text: str) -> list[str]:
    """Return what `text` is refused with, without the quoted source lines."""
    with pytest.raises(ConfigError) as caught:
        Scenario.from_text(text, "shop.toml")
    assert caught.value.__cause__ is None
    return [line for line in str(caught.value).split("\n") if not re.match(r" +\d+ \| ", line)]


def test_the_valid_file_is_valid() -> None:
    """The file that the tests below break is right as it stands."""
    assert Scenario.from_text(VALID).name == "shop"


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        # the top table
        ("schema = 1", "schema = 2", "1: schema: 2 is newer than this version of jobsim, which reads 1"),
        ("schema = 1", 'schema = "1"', "1: schema: must be 1, not '1'"),
        ('name = "shop"\n', "", "1: name is missing"),
        ('name = "shop"', 'name = ""', "2: name: must not be empty"),
        ('name = "shop"', "name = 5", "2: name: must be text in quotes, not 5"),
        ('"d"', "true", "3: description: must be text in quotes, not True"),
        ('horizon = "1h"\n', "", "1: horizon is missing"),
        ('"1h"', "3600", "4: horizon: 3600 has no unit; write for example '3600s'"),
        ('"1h"', "1.5", "4: horizon: 1.5 has no unit; write for example '1.5s'"),
        ('"1h"', '"3600"', "4: horizon: '3600' has no unit; write for example '3600s'"),
        ('"1h"', '"-1h"', "4: horizon: a duration cannot be negative: '-1h'"),
        ('"1h"', "-5", "4: horizon: a duration cannot be negative: -5"),
        ('"1h"', "nan", "4: horizon: a duration must be a finite number, not nan"),
        ('"1h"', "inf", "4: horizon: a duration must be a finite number, not inf"),
        ('"1h"', '"nan"', "4: horizon: 'nan' is not a duration; write for example '250ms', '5s', '1h30m' or 'PT5M'"),
        ('"1h"', '"0s"', "4: horizon: must be longer than zero, at least a microsecond: '0s'"),
        ('"1h"', '"1 fortnight"', "4: horizon: '1 fortnight' is not a duration; write for example '250ms', '5s', '1h30m' or 'PT5M'"),
        ('"1h"', '"101y"', "4: horizon: '101y' is longer than a hundred years"),
        ('"1h"', '""', "4: horizon: '' is not a duration; write for example '250ms', '5s', '1h30m' or 'PT5M'"),
        ('"1h"', "12:30:00", "4: horizon: datetime.time(12, 30) is not a duration; write for example '5s' or '1h30m'"),
        ('"1h"', "true", "4: horizon: True is not a duration; write for example '5s' or '1h30m'"),
        ("seed = 1", "sead = 1", "6: sead: unknown key (did you mean 'seed'?)"),
        ("seed = 1", "bananas = 1", "6: bananas: unknown key; known here: schema, name, description, "
         "horizon, drain, seed, workers, storage, dependencies, jobs, limits, policies, expect, sweep, tune, compare, trace"),
        ("seed = 1", "seed = 1.5", "6: seed: must be a whole number, not 1.5"),
        ("seed = 1", 'seed = "1"', "6: seed: must be a whole number, not '1'"),
        ("seed = 1", "comparee = []", "6: comparee: unknown key (did you mean 'compare'?)"),
        ("seed = 1", '"se ed" = 1', '6: "se ed": unknown key (did you mean \'seed\'?)'),
        # the workers
        ("count = 4\n", "", "9: workers.count is missing"),
        ("count = 4", "count = 0", "10: workers.count: must be at least 1, not 0"),
        ("count = 4", "count = true", "10: workers.count: must be a whole number, not True"),
        ("slots = 8", "slots = 8.0", "11: workers.slots: must be a whole number, not 8.0"),
        ("slots = 8", 'slots = "8"', "11: workers.slots: must be a whole number, not '8'"),
        ("slots = 8", "slots = 8\nseed = 2", "12: workers.seed: unknown key here; it belongs at the top, above the first table"),
        ("slots = 8", "slots = 8\ncompare = []", "12: workers.compare: unknown key here; it belongs at the top, above the first table"),
        ('lease = "60s"', 'leese = "60s"', "12: workers.leese: unknown key (did you mean 'lease'?)"),
        ('"60s"', '"0s"', "12: workers.lease: must be longer than zero, at least a microsecond: '0s'"),
        ('"60s"', "60", "12: workers.lease: 60 has no unit; write for example '60s'"),
        ("crash = {", "crash = 5 #", "14: workers.crash: must be a table, not 5"),
        ('every = "2h", ', "", "14: workers.crash.every is missing"),
        ('"2h"', '"0s"', "14: workers.crash.every: must be longer than zero, at least a microsecond: '0s'"),
        ("[workers]", "[worker]", "9: worker: unknown key (did you mean 'workers'?)\nshop.toml:1: workers is missing"),
        ("[workers]", "[[workers]]", "9: workers: must be a table, not [{'count': 4, 'slots': 8, 'lease': '60s', 'poll': '5s', 'cra..."),
        # the jobs
        ('kind = "charge"\n', "", "16: jobs.0.kind is missing"),
        ('kind = "charge"', 'kind = ""', "17: jobs.0.kind: must not be empty"),
        ('kind = "charge"', 'kind = "receipt"', "35: jobs.1.kind: 'receipt' is there twice"),
        ('kind = "receipt"\n', 'kind = "receipt"\nmax_attempts = 0\n', "36: jobs.1.max_attempts: must be at least 1, not 0"),
        ('kind = "receipt"\n', 'kind = "receipt"\nmax_attempts = "none"\n', "36: jobs.1.max_attempts: must be a whole number, not 'none'"),
        ("priority = 0", "priority = 99999999999", "19: jobs.0.priority: must be at most 2147483647, not 99999999999"),
        ("priority = 0", "priorty = 0", "19: jobs.0.priorty: unknown key (did you mean 'priority'?)"),
        ('"poisson"', '"poison"', "20: jobs.0.arrivals.process: 'poison' is not one of " + PROCESSES + " (did you mean 'poisson'?)"),
        ('"poisson"', "5", "20: jobs.0.arrivals.process: '5' is not one of " + PROCESSES),
        ('process = "poisson", ', "", "20: jobs.0.arrivals.process is missing: one of " + PROCESSES),
        ("arrivals = {", 'arrivals = "poisson" #', "20: jobs.0.arrivals: must be a table, not 'poisson'"),
        ('"12/s"', '"12"', "20: jobs.0.arrivals.rate: '12' has no unit; write for example '12/s'"),
        ('"12/s"', "12", "20: jobs.0.arrivals.rate: 12 has no unit; write for example '12/s'"),
        ('"12/s"', '"12s"', "20: jobs.0.arrivals.rate: '12s' is not a rate; write for example '12/s', '40/min' or '900/h'"),
        ('"12/s"', '"0/s"', "20: jobs.0.arrivals.rate: a rate must be a number above zero: '0/s'"),
        ('"12/s"', "nan", "20: jobs.0.arrivals.rate: a rate must be a number above zero: nan"),
        ('"12/s"', "-1", "20: jobs.0.arrivals.rate: a rate must be a number above zero: -1"),
        (', rate = "12/s"', "", "20: jobs.0.arrivals.rate is missing"),
        ('rate = "12/s"', 'rat = "12/s", rate = "1/s"', "20: jobs.0.arrivals.rat: unknown key (did you mean 'rate'?)"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "list", times = ["1s", 5] }', "20: jobs.0.arrivals.times.1: 5 has no unit; write for example '5s'"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "list", times = [] }', "20: jobs.0.arrivals.times: must have at least one entry"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "list", times = "1s" }', "20: jobs.0.arrivals.times: must be a list, not '1s'"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "trace", file = "no/such.csv" }', "20: jobs.0.arrivals: no/such.csv: cannot be read: No such file or directory"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "piecewise", rates = [["0s", 5], ["2s", "1/s"], ["1s", "1/s"]] }', "20: jobs.0.arrivals.rates.0.1: 5 has no unit; write for example '5/s'"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "mmpp", rates = ["1/s", "2/s"], sojourns = ["1s"] }', "20: jobs.0.arrivals.sojourns.1 is missing"),
        ('{ process = "poisson", rate = "12/s" }', '{ process = "batches", size = 3, of = { process = "poisson", rate = 5 } }', "20: jobs.0.arrivals.of.rate: 5 has no unit; write for example '5/s'"),
        ('every = "1s"', 'every = "0s"', "38: jobs.1.arrivals.every: must be longer than zero, at least a microsecond: '0s'"),
        ('every = "1s"', 'every = "1s"\njobs = 0', "39: jobs.1.arrivals.jobs: must be at least 1, not 0"),
        ('"lognormal"', '"lognorm"', "21: jobs.0.service.dist: 'lognorm' is not one of constant, exponential, lognormal, normal, erlang, gamma, "
         "weibull, bounded_pareto, empirical, quantiles, in_order, replay (did you mean 'lognormal'?)"),
        ('dist = "lognormal", mean = "250ms", cv = 1.0', 'dist = "weibull", mean = "1s", shape = 1, cv = 1', "21: jobs.0.service: is given by its mean and one of shape and cv"),
        ('dist = "lognormal", mean = "250ms", cv = 1.0', 'dist = "bounded_pareto", alpha = 1, low = "2s", high = "1s"', "21: jobs.0.service: low (2s) must be below high (1s)"),
        ('dist = "lognormal", mean = "250ms", cv = 1.0', 'dist = "quantiles", points = [[0, "1s"], [0.5, 2], [1]]', "21: jobs.0.service.points.1.1: 2 has no unit; write for example '2s'\n"
         "shop.toml:21: jobs.0.service.points.2.1 is missing"),
        ('mean = "250ms"', "mean = 0.25", "21: jobs.0.service.mean: 0.25 has no unit; write for example '0.25s'"),
        ('mean = "100ms"', 'mean = "0s"', "41: jobs.1.service.mean: must be longer than zero, at least a microsecond: '0s'"),
        ("cv = 1.0", "cv = -1", "21: jobs.0.service.cv: must be at least 0, not -1"),
        ("cv = 1.0", "cv = nan", "21: jobs.0.service.cv: must be a finite number, not nan"),
        ("cv = 1.0", 'cv = "1"', "21: jobs.0.service.cv: must be a finite number, not '1'"),
        (", cv = 1.0", "", "21: jobs.0.service.cv is missing"),
        ("0.02", "1.5", "23: jobs.0.failures.0.probability: must be at most 1, not 1.5"),
        ("0.02", "-0.1", "23: jobs.0.failures.0.probability: must be at least 0, not -0.1"),
        ("0.02", "nan", "23: jobs.0.failures.0.probability: must be a finite number, not nan"),
        ("0.02", '"2 %"', "23: jobs.0.failures.0.probability: must be a finite number, not '2 %'"),
        ("probability = 1.0", "probability = inf", "25: jobs.0.failures.1.probability: must be a finite number, not inf"),
        ('duration = "10m"', 'duraton = "10m"', "25: jobs.0.failures.1.duration is missing\n"
         "shop.toml:25: jobs.0.failures.1.duraton: unknown key (did you mean 'duration'?)"),
        ('takes = "2s"', "takes = 2", "25: jobs.0.failures.1.takes: 2 has no unit; write for example '2s'"),
        ('model = "outage"', 'model = "outtage"', "25: jobs.0.failures.1.model: 'outtage' is not one of " + FAILURES + " (did you mean 'outage'?)"),
        ('"permanent"', '"permanet"', "43: jobs.1.failures.0.model: 'permanet' is not one of " + FAILURES + " (did you mean 'permanent'?)"),
        ('"LookupError: gone"', '"it is gone"', "44: jobs.1.failures.0.error: 'it is gone' is not an error; write the name of an "
         "exception class, with a message if you like: 'ConnectionError: connection refused'"),
        ('{ model = "independent", probability = 0.02 }', '{ model = "gilbert_elliott", good = "1h", bad = "1m", slot = "5m" }', "23: jobs.0.failures.0: a slot (5m) cannot be longer than a state lasts on average"),
        ('{ model = "independent", probability = 0.02 }', '{ model = "alternating", up = { dist = "weibull", mean = "1h" }, down = { dist = "constant", value = "1m" } }',
         "23: jobs.0.failures.0.up: is given by its mean and one of shape and cv"),
        ('{ model = "independent", probability = 0.02 }', '{ model = "gilbert_elliott", name = "a", good = "1h", bad = "1m" }, { model = "gilbert_elliott", name = "a", good = "2h", bad = "1m" }',
         "23: jobs.0.failures.1.name: 'a' is there with another course already; those of one name share it"),
        # the policies
        ('["none", "mine"]', '["mind", "mine"]', "7: compare.0: no policy is called 'mind' (did you mean 'mine'?)"),
        ('["none", "mine"]', '["obann"]', "7: compare.0: no policy is called 'obann' (did you mean 'oban'?)"),
        ('["none", "mine"]', '["none", "none"]', "7: compare.1: 'none' is there twice"),
        ('["none", "mine"]', "[3]", "7: compare.0: must be the name of a policy, not 3"),
        ('["none", "mine"]', "[]", '7: compare: must be a list of policies such as ["none", "oban"], not []'),
        ('["none", "mine"]', '"none"', "7: compare: must be a list of policies such as [\"none\", \"oban\"], not 'none'"),
        ("max_attempts = 5", "max_attempts = 0", "29: policies.mine.max_attempts: must be a whole number, at least 1 "
         "(it counts runs, the first included), or None for no limit; not 0"),
        ("max_attempts = 5", "max_attempts = 2.5", '29: policies.mine.max_attempts: must be a whole number, or "none", not 2.5'),
        ("max_attempts = 5", "max_attempts = 99999999999999999999", "29: policies.mine.max_attempts: is too large a number: 99999999999999999999"),
        ("max_attempts = 5", "max_attemps = 5", "29: policies.mine.max_attemps: unknown key (did you mean 'max_attempts'?)"),
        ('max_age = "1h"', "max_age = 60", "30: policies.mine.max_age: 60 has no unit; write for example '60s'"),
        ('["OSError"]', "[5]", "31: policies.mine.retry_on: 5 is neither an exception class nor the name of one"),
        ('["OSError"]', "5", "31: policies.mine.retry_on: must be a list of names of errors, not 5"),
        ('kind = "exponential", ', "", "32: policies.mine.backoff.kind is missing: one of none, fixed, linear, exponential, polynomial, decorrelated"),
        ('"exponential", base', '"exponentil", base', "32: policies.mine.backoff.kind: 'exponentil' is not one of none, fixed, linear, "
         "exponential, polynomial, decorrelated (did you mean 'exponential'?)"),
        ('"exponential", base', "5, base", "32: policies.mine.backoff.kind: 5 is not one of none, fixed, linear, exponential, polynomial, decorrelated"),
        ("backoff = {", "backoff = 5 #", '32: policies.mine.backoff: must be a table such as { kind = "none" }, not 5'),
        ('base = "1s"', "base = 1", "32: policies.mine.backoff.base: 1 has no unit; write for example '1s'"),
        ('base = "1s"', 'base = "1m"', "32: policies.mine.backoff: the cap (30s) is below the base (1m)"),
        ('base = "1s"', "factor = 0.5", "32: policies.mine.backoff.factor: must be a finite number, at least 1: 0.5"),
        ('base = "1s"', "factor = nan", "32: policies.mine.backoff.factor: must be a finite number, at least 1: nan"),
        ('base = "1s"', 'factor = "2"', "32: policies.mine.backoff.factor: must be a number, not '2'"),
        ('base = "1s"', "first = -1", "32: policies.mine.backoff.first: must be a whole number, at least 0: -1"),
        ('base = "1s"', "first = 1.5", "32: policies.mine.backoff.first: must be a whole number, not 1.5"),
        ('base = "1s"', "power = 2", "32: policies.mine.backoff.power: unknown key; known here: base, factor, cap, jitter, first, plus"),
        ('"added", upto = "100ms"', '"added"', "32: policies.mine.backoff.jitter.upto is missing"),
        ('"added", upto', '"add", upto', "32: policies.mine.backoff.jitter.kind: 'add' is not one of none, full, equal, stretched, proportional, added (did you mean 'added'?)"),
        ('upto = "100ms"', "upto = 0.1", "32: policies.mine.backoff.jitter.upto: 0.1 has no unit; write for example '0.1s'"),
        ('upto = "100ms"', 'upto = "1s", grows = "rang"', "32: policies.mine.backoff.jitter.grows: 'rang' is not one of none, range, draw (did you mean 'range'?)"),
        ('"added", upto = "100ms"', '"proportional", up = nan', "32: policies.mine.backoff.jitter.up: a share lies between 0 and 1: nan"),
        ('{ kind = "added", upto = "100ms" }', '"ful"', "32: policies.mine.backoff.jitter.kind: 'ful' is not one of none, full, equal, stretched, proportional, added (did you mean 'full'?)"),
        ("[policies.mine]", "[policies]\nmine = 5\n[policies.other]", "29: policies.mine: must be a table, not 5"),
    ],
)  # fmt: skip
def test_scenario_error_names_line_and_key(right: str, wrong: str, message: str) -> None:
    """Each mistake is told with its line, its dotted key, and a plain sentence."""
    assert right in VALID
    expected = sorted(f"shop.toml:{message}".split("\n"))
    assert sorted(told(VALID.replace(right, wrong, 1))) == expected


def test_scenario_error_quotes_the_source_line() -> None:
    """Under each problem stands the line it is about."""
    with pytest.raises(ConfigError) as caught:
        Scenario.from_text(VALID.replace("count = 4", "  count = 0  # none"), "shop.toml")
    assert str(caught.value) == (
        "shop.toml:10: workers.count: must be at least 1, not 0\n     10 | count = 0  # none"
    )


def test_scenario_error_tells_every_problem_at_once() -> None:
    """Problems of all tables come together, in the order of the file."""
    text = (
        VALID.replace('"1h"', "3600", 1)
        .replace('"none", "mine"', '"non", "mine"')
        .replace("count = 4", "count = 0")
        .replace('"12/s"', '"12"')
        .replace("cv = 1.0", "cv = -1, sigma = 2")
        .replace("0.02", "2")
        .replace("max_attempts = 5", "max_attempts = 0")
        .replace('base = "1s"', "factor = 0.5, first = -1, bas = 1")
        .replace('kind = "receipt"', 'kind = "charge"')
    )
    assert [line.partition(": ")[0] + " " + line.split(": ")[1] for line in told(text)] == [
        "shop.toml:4 horizon",
        "shop.toml:7 compare.0",
        "shop.toml:10 workers.count",
        "shop.toml:20 jobs.0.arrivals.rate",
        "shop.toml:21 jobs.0.service.cv",
        "shop.toml:21 jobs.0.service.sigma",
        "shop.toml:23 jobs.0.failures.0.probability",
        "shop.toml:29 policies.mine.max_attempts",
        "shop.toml:32 policies.mine.backoff.bas",
        "shop.toml:32 policies.mine.backoff.factor",
        "shop.toml:32 policies.mine.backoff.first",
        "shop.toml:35 jobs.1.kind",
    ]


def test_scenario_error_bounds_what_it_shows() -> None:
    """Neither a monstrous value nor a control character of the file floods the terminal."""
    [problem] = told(VALID.replace('"1h"', '"' + "9" * 10_000 + 's"', 1))
    assert len(problem) < 200
    with pytest.raises(ConfigError) as caught:
        Scenario.from_text("name = \x1b[31m\n" + "#" * 10_000)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "shop.toml:1:8: not TOML: Invalid value"),
        ("name = 'a'\nname = 'b'", "shop.toml:2:11: not TOML: Cannot overwrite a value"),
        ("a = 1\n[workers\n", "shop.toml:2:9: not TOML: Expected ']' at the end of a table declaration"),
        ('name = "a', "shop.toml:1:10: not TOML: Unterminated string"),
        ("a = {\n b = 1 }", "shop.toml:1:6: not TOML: Invalid initial character for a key part (a table in "
         "braces ends on the line it began on)"),
        ("{'json': 1}", "shop.toml:1:1: not TOML: Invalid statement"),
        ("jobs:\n  - kind: yaml", "shop.toml:1:5: not TOML: Expected '=' after a key in a key/value pair"),
        ("a = " + "9" * 5000, "shop.toml: not TOML: Exceeds the limit (4300 digits) for integer string conversion"),
        ("a = " + "[" * 5000, "shop.toml: lists or tables are nested too deeply"),
        ("", "shop.toml: is empty; a scenario needs name, horizon, [workers] and [[jobs]]"),
        ("# soon\n\n", "shop.toml: is empty; a scenario needs name, horizon, [workers] and [[jobs]]"),
        ('policies = ["none"]\n' + VALID.partition("[policies.mine]")[0].replace(', "mine"', ""),
         "shop.toml:1: policies: must be tables [policies.NAME]; what is compared is a list of its own: "
         'compare = ["none", "oban"]'),
        ("jobs = 5\nworkers = []\nname='x'\nhorizon='1h'",
         "shop.toml:1: jobs: must be a list, not 5\nshop.toml:2: workers: must be a table, not []"),
        ("jobs = []\nworkers = {count=1,slots=1}\nname='x'\nhorizon='1h'",
         "shop.toml:1: jobs: must have at least one entry"),
    ],
)  # fmt: skip
def test_text_that_is_no_scenario_is_refused_in_a_sentence(text: str, message: str) -> None:
    """Text that is not TOML, or not a scenario at all, says so and where."""
    assert told(text) == message.split("\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{}: there is no such file (did you mean 'shops.toml'?)"),
        (b"", "{}: is empty; a scenario needs name, horizon, [workers] and [[jobs]]"),
        (b"name = 'x'\n# caf\xe9", "{}:2: is not UTF-8 text (byte 0xe9); save it as UTF-8"),
        (b"\x00", "{}:1:1: not TOML: Invalid statement\n      1 |"),
    ],
)
def test_file_that_cannot_be_read_is_refused_in_a_sentence(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    """A missing, empty or undecodable file is told apart."""
    path = tmp_path / "shop.toml"
    (tmp_path / "shops.toml").touch()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        Scenario.from_toml(path)
    assert str(caught.value).rstrip() == message.format(path)


def test_directory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """A directory is not a scenario file."""
    with pytest.raises(ConfigError) as caught:
        Scenario.from_toml(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a directory, not a file"


@pytest.mark.parametrize("path", ["a\0b.toml", "x" * 300 + ".toml", "/dev/null/x.toml"])
def test_impossible_path_is_refused_in_a_sentence(path: str) -> None:
    """A path that cannot name a file is refused as any unreadable file is."""
    with pytest.raises(ConfigError, match=r": cannot be read: |: there is no such file"):
        Scenario.from_toml(path)


def test_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """What some editors put before the text does no harm, nor do their line ends."""
    path = tmp_path / "shop.toml"
    path.write_bytes(b"\xef\xbb\xbf" + VALID.replace("\n", "\r\n").encode())
    assert Scenario.from_toml(path) == Scenario.from_text(VALID)
