"""What a mapping costs: one day's run over exports by the contract, and over the same rows through a mapping.

    mapped.py PROGRAM EXPORTS --day 2026-03-01 --work DIR [--runs 5]

EXPORTS has one day (benches/compare/data.py makes it). Three foreign forms are written beside it, with pyarrow: `renamed` has other
column names, minor units, local times and other words for channels; `texts` has all ids as texts of digits too, and in `hashed` the
texts are no numbers. The forms take turns, and the first turn is not counted. Prints the medians, and each as a ratio to the contract's form.
"""

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ZONE = "America/Los_Angeles"
STREAMS = ("order_lines", "product_traffic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("exports", type=Path)
    parser.add_argument("--day", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    forms = {"contract": (arguments.exports, "")}
    for form in ("renamed", "texts", "hashed"):
        forms[form] = foreign(arguments, form)
    walls, cpus = {form: [] for form in forms}, {form: [] for form in forms}
    for turn in range(arguments.runs + 1):
        for form, (exports, section) in forms.items():
            wall, cpu = run(arguments, exports, section)
            if turn > 0:
                walls[form].append(wall)
                cpus[form].append(cpu)
    print("| form | wall s | CPU s | wall, times the contract's | CPU, times the contract's |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for form in forms:
        wall, cpu = median(walls[form]), median(cpus[form])
        ratios = wall / median(walls["contract"]), cpu / median(cpus["contract"])
        print(f"| {form} | {wall:.2f} | {cpu:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


def run(arguments: argparse.Namespace, exports: Path, section: str) -> tuple[float, float]:
    """Wall and CPU seconds of one run into empty results."""
    results, job = arguments.work / "results", arguments.work / "job.toml"
    shutil.rmtree(results, ignore_errors=True)
    job.write_text("lookback_days = 0\n" + section)
    command = [arguments.program, "run", "--day", arguments.day, "--quiet", "--config", job]
    begun, before = time.monotonic(), os.times()
    subprocess.run([*command, "--exports", exports, "--results", results], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begun, cpu


def foreign(arguments: argparse.Namespace, form: str) -> tuple[Path, str]:
    """The exports in a foreign form, made if they do not exist, and the mapping that reads them."""
    out, section = arguments.work / form, ""
    for dataset in sorted(path.name for path in arguments.exports.iterdir()):
        source = arguments.exports / dataset / f"dt={arguments.day}"
        target = out / dataset / f"dt={arguments.day}"
        if dataset not in STREAMS:
            if not target.exists():
                shutil.copytree(source, target)
            continue
        files = sorted(path for path in source.iterdir() if path.name != "_SUCCESS")
        lines = {}
        for file in files:
            lines = rewrite(file, target / file.name, form)
        (target / "_SUCCESS").touch()
        section += f"[source.{dataset}.columns]\n" + "".join(f"{name} = {line}\n" for name, line in lines.items())
    return out, section


def rewrite(source: Path, target: Path, form: str) -> dict[str, str]:
    file = pq.ParquetFile(source)
    mapped = {field.name: mapping(field, form) for field in file.schema_arrow}
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = None
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            columns = {f"{name}_": mapped[name][1](table[name]) for name in table.column_names}
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=table.num_rows)
        writer.close()
    return {name: line for name, (line, _) in mapped.items()}


def mapping(field: pa.Field, form: str):
    """The right side of a column's line, and what makes its values foreign."""
    name = f"{field.name}_"
    if form in ("texts", "hashed") and pa.types.is_int64(field.type):
        before = "id-" if form == "hashed" else ""
        text = lambda column: pc.binary_join_element_wise(before, column.cast(pa.string()), "")
        return f'{{ from = "{name}", text_id = true }}', text
    if pa.types.is_decimal(field.type):
        hundred = pa.scalar(100, pa.decimal128(18, 0))
        return f'{{ from = "{name}", scale = 2 }}', lambda column: pc.multiply(column, hundred).cast(pa.int64())
    if pa.types.is_timestamp(field.type):
        return f'{{ from = "{name}", time_zone = "{ZONE}" }}', lambda column: pc.local_timestamp(
            column.cast(pa.timestamp("us", ZONE))
        )
    if field.name == "channel":
        values = f'{{ from = "{name}", values = {{ live = "LIVE" }}, otherwise = "keep" }}'
        return values, lambda column: pc.replace_substring(column.cast(pa.string()), "LIVE", "live")
    return f'"{name}"', lambda column: column


if __name__ == "__main__":
    main()
