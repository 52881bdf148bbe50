"""Runs this program's daily rollups and those of other engines on the same exports, and prints a table for a README.

    run.py --work DIR --rows 10000000 50000000 --engines ours duckdb polars datafusion chdb

Every run is a process of its own, measured from outside: wall clock, CPU time of all its threads, largest resident set. The
engines take turns, so that what else the machine does meets all alike. The first turn is not counted: it brings the files
into the page cache, and its tables are compared cell by cell with those of the first engine. The figures are medians.
"""

import argparse
import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

from peers.contract import DATASETS

# Nothing large is imported, and the comparison is a process too: a child's largest resident set counts its parent's
# memory, as it was before the child became another program.

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
OURS = (
    f"{REPOSITORY}/target/dist/examples/rollups --exports {{exports}} --day {{day}} --out {{out}} --threads {{threads}}"
)
DECODE = f"{REPOSITORY}/target/dist/examples/decode --exports {{exports}} --day {{day}} --threads {{threads}}"
PEERS = ("duckdb", "polars", "datafusion", "chdb")
DAY = "2026-03-01"


@dataclass
class Measured:
    wall_s: float
    cpu_s: float
    peak_mb: float


def main() -> None:
    arguments = parse()
    print(machine(), end="\n\n")
    for rows in arguments.rows:
        for order in arguments.orders:
            exports = made(arguments, rows, order)
            turns = take_turns(arguments, exports)
            record(arguments.work / "runs.csv", rows, order, turns)
            print(f"### {rows:,} rows, {order}, {arguments.threads} threads, median of {arguments.runs}", end="\n\n")
            print(table(turns), end="\n\n", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where exports and tables are kept")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000_000])
    parser.add_argument("--orders", nargs="+", choices=("mixed", "clustered", "giant"), default=["mixed", "clustered"])
    engines = "names; engine:variant for another variant; decode: bare decoding of the traffic, without tables"
    parser.add_argument("--engines", nargs="+", default=["ours", *PEERS], help=engines)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each engine")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--ours", default=OURS, help="this program's command, with {exports}, {day}, {out} and {threads}")
    parser.add_argument(
        "--generator", default=f"{REPOSITORY}/target/dist/campaign-etl", help="what generates the exports"
    )
    arguments = parser.parse_args()
    arguments.work = arguments.work.absolute()
    return arguments


def made(arguments: argparse.Namespace, rows: int, order: str) -> Path:
    """The exports, made if they do not exist."""
    command = [sys.executable, HERE / "data.py", "--rows", str(rows), "--orders", order, "--work", arguments.work]
    made_by = [*command, "--generator", *shlex.split(arguments.generator)]
    return Path(subprocess.run(made_by, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def take_turns(arguments: argparse.Namespace, exports: Path) -> dict[str, list[Measured]]:
    turns = {engine: [] for engine in arguments.engines}
    with_tables = [engine for engine in arguments.engines if engine != "decode"]
    out = {engine: arguments.work / "tables" / engine.replace(":", "-") for engine in arguments.engines}
    accounts = {engine: run(arguments, engine, exports, out[engine])[1] for engine in arguments.engines}
    for engine in with_tables[1:]:
        compare(out[with_tables[0]], out[engine])
    counted = {engine: account for engine, account in accounts.items() if account}
    if any(account != next(iter(counted.values())) for account in counted.values()):
        raise SystemExit("the engines count rows differently:\n" + "\n".join(f"{e}: {a}" for e, a in counted.items()))
    for number in range(arguments.runs):
        for engine in arguments.engines:
            measured, _ = run(arguments, engine, exports, out[engine])
            turns[engine].append(measured)
            print(f"{exports.name} run {number + 1} {engine}: {measured}", file=sys.stderr)
    return turns


def run(arguments: argparse.Namespace, engine: str, exports: Path, out: Path) -> tuple[Measured, dict[str, list[int]]]:
    """One run of an engine, and its account of the rows if it prints one."""
    shutil.rmtree(out, ignore_errors=True)
    where = {"exports": exports, "day": DAY, "out": out, "threads": arguments.threads}
    command = [word.format(**where) for word in command_of(arguments, engine)]
    started = time.perf_counter()
    # Files, not pipes: nobody has to read along, and the child never waits for a reader.
    with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(command, cwd=REPOSITORY, stdout=answer, stderr=complaints)
        _, status, used = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        complaints.seek(0)
        if child.returncode:
            raise SystemExit(f"{engine} failed with {child.returncode}: {shlex.join(command)}\n{complaints.read()}")
        return Measured(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024), account(answer.read())


def command_of(arguments: argparse.Namespace, engine: str) -> list[str]:
    if engine == "ours":
        return shlex.split(arguments.ours)
    if engine == "decode":
        return shlex.split(DECODE)
    name, _, variant = engine.partition(":")
    command = [sys.executable, str(HERE / "peers" / f"{name}_rollups.py")]
    command += ["--exports", "{exports}", "--day", "{day}", "--out", "{out}", "--threads", "{threads}"]
    return command + (["--variant", variant] if variant else [])


def account(answer: str) -> dict[str, list[int]]:
    """Rows read, used, quarantined and out of scope of each dataset, if the engine prints them: a peer as an object, this
    program (`--format json`) as the list `datasets`."""
    try:
        printed = json.loads(answer)
    except ValueError:
        return {}
    if "datasets" in printed:
        printed = {entry["dataset"]: entry for entry in printed["datasets"]}
    counts = ("rows_read", "rows_used", "rows_quarantined", "rows_out_of_scope")
    return {name: [printed[name][count] for count in counts] for name in DATASETS if name in printed}


def compare(expected: Path, found: Path) -> None:
    script = [sys.executable, HERE / "same_tables.py", "--day", DAY, expected, found]
    compared = subprocess.run(script, check=False, stdout=subprocess.PIPE, text=True)
    print(f"{found.name}: {compared.stdout.strip()}", file=sys.stderr)
    if compared.returncode:
        raise SystemExit(f"{found} is not the same as {expected}")


def record(file: Path, rows: int, order: str, turns: dict[str, list[Measured]]) -> None:
    """Adds every counted run to a file, for whoever wants more than medians."""
    with file.open("a", newline="") as out:
        for engine, runs in turns.items():
            csv.writer(out).writerows([rows, order, engine, *vars(measured).values()] for measured in runs)


def table(turns: dict[str, list[Measured]]) -> str:
    medians = {
        engine: Measured(*(median(getattr(run, name) for run in runs) for name in ("wall_s", "cpu_s", "peak_mb")))
        for engine, runs in turns.items()
    }
    base = next(iter(medians.values()))
    lines = [
        "| engine | variant | wall s | CPU s | peak MB | wall ratio | CPU ratio |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for engine, figures in medians.items():
        name, _, variant = engine.partition(":")
        lines.append(
            f"| {name} | {variant or 'default'} | {figures.wall_s:.2f} | {figures.cpu_s:.2f} | {figures.peak_mb:.0f}"
            f" | {figures.wall_s / base.wall_s:.2f} | {figures.cpu_s / base.cpu_s:.2f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{peer} {metadata.version(peer)}" for peer in PEERS)
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB; {versions}; Python {sys.version.split()[0]}"


if __name__ == "__main__":
    main()
