"""The checks of run.sh, in order. The first one that fails ends the run."""

import copy, http.server, json, pathlib, shutil, subprocess, sys, tempfile, threading

import jsonschema
import referencing

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
SPEC = pathlib.Path(__file__).parent / "spec"
SAMPLE = ROOT / "sample_data" / "exports"
SCHEMAS = {schema["$id"]: schema for schema in (json.loads(path.read_text()) for path in SPEC.glob("*.json"))}
REGISTRY = referencing.Registry().with_resources(
    (url, referencing.Resource.from_contents(schema)) for url, schema in SCHEMAS.items()
)


def main():
    with tempfile.TemporaryDirectory() as work, Receiver() as receiver:
        folder = pathlib.Path(work)
        (folder / "job.toml").write_text(f'lookback_days = 0\n[lineage]\nurl = "{receiver.url}"\nnamespace = "night"\n')
        etl(folder, 75, "backfill", "--from", "2026-03-14", "--to", "2026-03-15")
        published = receiver.taken()
        types = [e["eventType"] for e in published]
        check("two days", types == ["START", "COMPLETE"] * 2, types)
        shutil.copytree(SAMPLE, folder / "exports")
        next((folder / "exports/order_lines/dt=2026-03-13").glob("*.parquet")).write_text("no Parquet")
        etl(folder, 65, "run", "--day", "2026-03-13", "--exports", folder / "exports")
        blocked = receiver.taken()
        ends = [(e["eventType"], e["job"]["name"], len(e["outputs"])) for e in blocked if e["eventType"] != "START"]
        check("a blocked day fails without outputs", ends[0] == ("FAIL", "report_day", 0), ends)
        check("what stands in for it is published", ("COMPLETE", "benchmarks_that_stand_in", 3) in ends, ends)
        etl(folder, 0, "backfill", "--from", "2026-03-14", "--to", "2026-03-14", *mapped(folder))
        of_mapping = receiver.taken()
        for event in published + blocked + of_mapping:
            errors = [error.message for error in problems(event)]
            check(f"{event['eventType']} is a valid event", not errors, errors)
        changes_are_found(published[1])
        lineage_is_that_of_describe(published[1])
        mapped_columns_have_their_names_in_files(of_mapping[1])
    print("all checks passed")


class Receiver:
    """Takes every event."""

    def __enter__(self):
        events = self.events = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/lineage"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()

    def taken(self):
        taken = self.events[:]
        self.events.clear()
        return taken


def etl(folder, code, *command):
    places = ["--config", folder / "job.toml"]
    for option, place in (("--results", folder / "results"), ("--exports", SAMPLE)):
        places += [] if option in command else [option, place]
    done = subprocess.run([PROGRAM, "--quiet", *command, *places], capture_output=True, text=True)
    check(f"{command[0]} exits with {code}", done.returncode == code, done.stderr)


def mapped(folder):
    """The sample with order_lines in another place, and without content_id. No table is published yet."""
    exports = folder / "mapped"
    for dataset in SAMPLE.iterdir():
        name = "raw/lines" if dataset.name == "order_lines" else dataset.name
        shutil.copytree(dataset / "dt=2026-03-14", exports / name / "dt=2026-03-14")
    job = folder / "job.toml"
    job.write_text(job.read_text() + '\n[source.order_lines]\npath = "raw/lines/dt={day}"\ncolumns.content_id = { absent = true }\n')
    return ["--exports", exports, "--results", folder / "of_mapped"]


def problems(event):
    """The errors of an event and of each of its facets, which name their schemas."""
    yield from validator(event["schemaURL"]).iter_errors(event)
    for facet in facets(event):
        url = facet["_schemaURL"]
        if url.split("#")[0] not in SCHEMAS:
            sys.exit(f"FAILED: a facet of a schema that is not here: {url}")
        yield from validator(url).iter_errors(facet)


def validator(url):
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": url}
    formats = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(schema, registry=REGISTRY, format_checker=formats)


def facets(node):
    if isinstance(node, dict):
        if "_schemaURL" in node:
            yield node
        for child in node.values():
            yield from facets(child)
    elif isinstance(node, list):
        for child in node:
            yield from facets(child)


def changes_are_found(event):
    """A validation that passes everything would be none."""
    for change in (
        lambda e: e.pop("eventTime"),
        lambda e: e.update(eventTime="yesterday"),
        lambda e: e.update(eventType="DONE"),
        lambda e: e.update(producer="no URI"),
        lambda e: e["run"].update(runId="1"),
        lambda e: e["run"]["facets"]["nominalTime"].pop("nominalStartTime"),
        lambda e: e["outputs"][0]["outputFacets"]["outputStatistics"].update(rowCount="many"),
        lambda e: next(iter(e["outputs"][0]["facets"]["columnLineage"]["fields"].values()))["inputFields"][0].pop("field"),
        lambda e: e["inputs"][0]["facets"]["schema"].pop("_producer"),
    ):
        changed = copy.deepcopy(event)
        change(changed)
        if not any(problems(changed)):
            sys.exit(f"FAILED: an invalid event passes: {json.dumps(changed)[:500]}")
    print("ok: each invalid event is found")


def lineage_is_that_of_describe(event):
    """`describe TABLE.COLUMN` lists the columns of exports behind a column. The datasets of the event lead to the same ones."""
    edges = {}
    for output in event["outputs"]:
        table = output["name"].rsplit("/", 1)[1]
        names = [field["name"] for field in output["facets"]["schema"]["fields"]]
        described = json.loads(describe(table))
        check(f"the fields of {table}", names == [c["column"] for c in described["columns"]], names)
        for column, of in output["facets"]["columnLineage"]["fields"].items():
            direct = [f for f in of["inputFields"] if f["transformations"][0]["type"] == "DIRECT"]
            edges[f"{table}.{column}"] = {f"{f['name'].rsplit('/', 1)[1]}.{f['field']}" for f in direct}
    inputs = {i["name"] for i in event["inputs"]}
    named = {f["name"] for o in event["outputs"] for of in o["facets"]["columnLineage"]["fields"].values() for f in of["inputFields"]}
    check("every dataset of the lineage is an input", named <= inputs, named - inputs)
    datasets = {path.name for path in SAMPLE.iterdir()}
    for column in edges:
        found, waiting = set(), {column}
        while waiting:
            behind = edges.get(waiting.pop(), set())
            waiting |= behind & edges.keys()
            found |= {of for of in behind if of.split(".")[0] in datasets}
        exports = {of for of in json.loads(describe(column))["exports"] if of.split(".")[0] in datasets}
        if found != exports:
            sys.exit(f"FAILED: the exports behind {column}: {sorted(found)}, not {sorted(exports)}")
    check(f"the exports behind each of {len(edges)} columns are those of describe", len(edges) > 200, len(edges))


def mapped_columns_have_their_names_in_files(event):
    lines = [i for i in event["inputs"] if i["name"].endswith("/mapped/raw/lines")]
    check("a mapped export is named by its path", len(lines) == 1, [i["name"] for i in event["inputs"]])
    fields = {field["name"] for field in lines[0]["facets"]["schema"]["fields"]}
    check("an absent column is no field of it", "content_id" not in fields and "buyer_id" in fields, fields)
    used = {
        f["field"]
        for o in event["outputs"]
        for of in o["facets"]["columnLineage"]["fields"].values()
        for f in of["inputFields"]
        if f["name"] == lines[0]["name"]
    }
    check("nor of any lineage", "content_id" not in used and "buyer_id" in used, used)


def describe(name):
    return subprocess.run([PROGRAM, "describe", name, "--format", "json"], capture_output=True, text=True, check=True).stdout


def check(name, holds, found):
    if not holds:
        sys.exit(f"FAILED: {name}\nfound: {found}")
    print("ok:", name)


if __name__ == "__main__":
    main()
