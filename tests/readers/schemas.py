"""Validate JSON documents with the schemas under docs/schemas/.

The documents: those of each command on the results of the sample, and those that the integration tests kept. They keep
every document where CAMPAIGN_ETL_TESTS_DOCUMENTS names a folder.

Each document is validated twice: with the schema as it is, and so that a property without a description fails.
"""
import collections, json, os, pathlib, subprocess, sys, tomllib

from jsonschema import Draft202012Validator

PROGRAM, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])
FOLDER = ROOT / "docs/schemas"


def main():
    validators = {}
    for file in FOLDER.glob("*.json"):
        schema = json.loads(file.read_text())
        Draft202012Validator.check_schema(schema)
        closed = closed_copy(schema)
        # The properties of a document that has one of several forms stand beside those of the form.
        for form in schema.get("anyOf", []):
            closed["$defs"][form["$ref"].rpartition("/")[2]].pop("unevaluatedProperties")
        validators[file.stem] = Draft202012Validator(schema), Draft202012Validator(closed)
    used = collections.Counter()
    for name, document, source in [*documents_of_the_sample(), *documents_of_the_tests()]:
        for validator in validators[name]:
            errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(document)]
            assert not errors, (name, source, errors[:3])
        used[name] += 1
    job_file(validators["job"][0], used)
    without = validators.keys() - used.keys()
    assert not without, f"no document of {without}"
    for name, count in sorted(used.items()):
        print(f"schema {name}: {count} documents")


def closed_copy(schema):
    """The schema in which an object has no other properties than those that are described."""
    if isinstance(schema, list):
        return [closed_copy(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {key: closed_copy(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema and "additionalProperties" not in schema:
        copy["unevaluatedProperties"] = False
    return copy


def schema_of(command, arguments, document):
    if document.keys() == {"error", "what", "why", "tonight", "next", "exit_code", "retry"}:
        return "error"
    if command == "explain" and "--sql" in arguments:
        return "explain-sql"
    if command == "explain" and "--verify" in arguments:
        return "explain-verify"
    if command == "explain" and "--metric" not in arguments:
        return "explain-day"
    return "plan" if command == "backfill" and "--dry-run" in arguments else command


def documents_of_the_sample():
    places = ["--exports", str(ROOT / "sample_data/exports"), "--results", "documents"]
    # Other tiers make tables stale, so that a day has two publications to compare.
    pathlib.Path("one_tier.toml").write_text('[[tier]]\nname = "ALL"\nmin_gmv = "0"\n')
    day = ["--day", "2026-03-14"]
    shop = ["--shop", "1000008", "--metric"]
    commands = [
        ["run", *day], ["backfill", "--from", "2026-03-13", "--to", "2026-03-14"],
        ["backfill", "--from", "2026-03-13", "--to", "2026-03-14", "--dry-run"], ["plan", *day], ["status", *day],
        ["validate", "--from", "2026-03-13", "--to", "2026-03-15"], ["explain", *day, *shop, "gmv"],
        ["explain", *day, *shop, "ad_roi", "--table", "shop_period"], ["explain", "--sql", *day, *shop, "gmv"],
        ["explain", *day, "--shop", "1000008"], ["explain", "--verify", "explain.json"], ["run", *day, "--config", "one_tier.toml"],
        ["diff", *day], ["diff", *day, "--shop", "1000008"], ["diff", "--day", "2026-03-06"],
        ["describe"], ["describe", "shop_daily"], ["describe", "order_lines"], ["describe", "quarantine"],
        ["describe", "shop_benchmark.position"], ["describe", "nothing"], ["catalog"], ["schema"], ["unlock"], ["doctor"],
        ["vacuum", "--dry-run"], ["generate", "--days", "1", "--shops", "5", "--rows-per-day", "50", "--out", "generated"],
        ["init", "--out", "first.toml"],
        ["run"], ["no-such-command"],
    ]
    for command in commands:
        config = [] if "--config" in command else ["--config", str(ROOT / "jobs/daily.toml")]
        of_place = [] if command[0] in ("generate", "no-such-command") else [*config, *places]
        arguments = [*command, "--format", "json", *of_place]
        ended = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        document = json.loads(ended.stdout)
        if command[0] == "explain":
            pathlib.Path("explain.json").write_text(ended.stdout)
        yield schema_of(command[0], arguments, document), document, " ".join(command)


def documents_of_the_tests():
    folder = os.environ.get("CAMPAIGN_ETL_TESTS_DOCUMENTS")
    for file in sorted(pathlib.Path(folder).glob("*.json")) if folder else []:
        kept = json.loads(file.read_text())
        name = schema_of(kept["command"], kept["arguments"], kept["document"])
        yield name, kept["document"], " ".join(kept["arguments"])


def job_file(validator, used):
    job = tomllib.loads((ROOT / "jobs/daily.toml").read_text())
    for accepted in [{}, job, {**job, "required": ["order_lines"], "checks": {"severities": {"gmv": "block"}}}]:
        validator.validate(accepted)
        used["job"] += 1
    for refused in [{"export": "x"}, {"lookback_days": 400}, {"currency": "usd"}, {"tier": [{"name": "T1", "min_gmv": 0.5}]},
                    {"required": ["orders"]}, {"checks": {"severities": {"gmw": "warn"}}}]:
        assert not validator.is_valid(refused), refused


if __name__ == "__main__":
    main()
