"""Write exports as somebody else lays them out, and a job file that maps them.

    foreign_exports.py EXPORTS OUT JOB OUT_JOB

Ids of shops, products and campaigns are texts of digits; those of SKUs, contents and buyers are other texts. Amounts are minor units,
instants local times, channels other words.
"""
import pathlib, sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ZONE = "America/Los_Angeles"
HASHED = {"sku_id", "content_id", "buyer_id", "user_id"}


def main():
    exports, out, job, out_job = map(pathlib.Path, sys.argv[1:])
    lines = {}
    for folder in sorted(exports.glob("*/dt=*")):
        to = out / folder.parent.name / f"day={folder.name[3:]}"
        to.mkdir(parents=True)
        for path in (path for path in folder.iterdir() if path.name[0] not in "._"):
            table = pq.read_table(path, partitioning=None)
            columns = {name: foreign(name, table[name]) for name in table.column_names}
            lines[folder.parent.name] = [f"{name} = {line}" for name, (_, line) in columns.items()]
            pq.write_table(pa.table({f"their {name}": column for name, (column, _) in columns.items()}), to / path.name)
        (to / "_SUCCESS").touch()
    sections = [f"[source.{name}.columns]\n" + "\n".join(of) for name, of in lines.items()]
    source = '[source]\npath = "{dataset}/day={day}"\n' + "\n".join(sections) + "\n"
    out_job.write_text(job.read_text() + "\n" + source)


def foreign(name, column):
    """The column in the foreign form, and the right side of its line."""
    of = f'from = "their {name}"'
    if pa.types.is_int64(column.type) and name.endswith("_id"):
        texts = column.cast(pa.string())
        texts = pc.binary_join_element_wise("x", texts, "-") if name in HASHED else texts
        return texts, f"{{ {of}, text_id = true }}"
    if pa.types.is_decimal(column.type):
        units = pc.multiply(column, pa.scalar(100, pa.decimal128(18, 0))).cast(pa.int64())
        return units, f"{{ {of}, scale = 2 }}"
    if pa.types.is_timestamp(column.type):
        local = pc.local_timestamp(column.cast(pa.timestamp("us", ZONE)))
        local = local.cast(pa.string()) if name == "paid_at" else local
        return local, f'{{ {of}, time_zone = "{ZONE}" }}'
    if name == "channel":
        words = pc.replace_substring_regex(column.cast(pa.string()), "^LIVE$", "it's live")
        return words, f"""{{ {of}, values = {{ "it's live" = "LIVE" }}, otherwise = "keep" }}"""
    return column, f"{{ {of} }}"


if __name__ == "__main__":
    main()
