"""The checks of run.sh, in order. The first one that fails ends the run."""

import copy, json, pathlib, re, subprocess, sys, tempfile, tomllib

import kubernetes_validate
import yaml

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
VERSIONS = ("1.31", "1.37")  # the oldest that the manifest names, and the newest that the schemas are for


def main():
    job_file, cronjob = yaml.safe_load_all((ROOT / "jobs" / "kubernetes" / "cronjob.yaml").read_text())
    for version in VERSIONS:
        for manifest in (job_file, cronjob):
            check(
                f"{manifest['kind']} is valid in Kubernetes {version}",
                errors(manifest, version) is None,
                errors(manifest, version),
            )
    misspelt_keys_are_found(cronjob)
    job = cronjob["spec"]["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    exit_codes_are_those_of_the_docs(job, pod)
    names_fit(job_file, cronjob, pod)
    the_program_accepts_the_job_file(job_file["data"]["job.toml"], pod["containers"][0]["command"])
    print("all checks passed")


def errors(manifest, version):
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return error.message


def misspelt_keys_are_found(cronjob):
    """Each key of the CronJob in turn gets a letter too much, except those that choose the schema and the names of resources."""
    tried = 0
    for path in paths(cronjob):
        if path in (("apiVersion",), ("kind",)) or path[-2:-1] in (("requests",), ("limits",)):
            continue
        mutant = copy.deepcopy(cronjob)
        parent = mutant
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1] + "x"] = parent.pop(path[-1])
        name = ".".join(map(str, path)) + "x"
        if not errors(mutant, VERSIONS[-1]):
            sys.exit(f"FAILED: the misspelt key {name} is not found")
        tried += 1
        if path[-1] == "concurrencyPolicy":
            print(f"  {name}: {errors(mutant, VERSIONS[-1])}")
    check(f"each of {tried} misspelt keys is found", tried > 50, tried)


def paths(node, path=()):
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from paths(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from paths(value, (*path, number))


def exit_codes_are_those_of_the_docs(job, pod):
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("## Exit codes") : page.index("## At 3 a.m.")]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)} - {0}
    retried = {74, 75, 130, 143}  # docs/operations.md#retries
    rules = job["podFailurePolicy"]["rules"]
    of = {rule["action"]: set(rule["onExitCodes"]["values"]) for rule in rules if "onExitCodes" in rule}
    check("every documented exit code has one rule", of == {"FailJob": documented - retried, "Count": retried}, of)
    check("a disruption is the first rule", rules[0]["action"] == "Ignore", rules)
    names = {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule}
    check("the rules name the container", names == {pod["containers"][0]["name"]} and pod["restartPolicy"] == "Never", names)


def names_fit(job_file, cronjob, pod):
    zone = tomllib.loads(job_file["data"]["job.toml"])["time_zone"]
    check("timeZone is the time zone of job.toml", cronjob["spec"]["timeZone"] == zone, zone)
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    is_mounted = mounted == set(volumes) and volumes["job"]["configMap"]["name"] == job_file["metadata"]["name"]
    check("every volume is mounted, and one is the ConfigMap", is_mounted, volumes)


def the_program_accepts_the_job_file(text, command):
    """With the command of the container, on the sample: it publishes the day."""
    with tempfile.TemporaryDirectory() as work:
        file = pathlib.Path(work) / "job.toml"
        file.write_text(text)
        arguments = [str(file) if a == "/etc/campaign-etl/job.toml" else a for a in command[1:]]
        places = ["--exports", str(ROOT / "sample_data" / "exports"), "--results", f"{work}/results", "--day", "2026-03-14"]
        done = subprocess.run(
            [PROGRAM, *arguments, *places], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        check("the program takes the command and the job file", done.returncode == 0, done.stderr)
        document = json.loads(done.stdout)
        check("it prints one JSON document", document["outcome"] == "published", document)


def check(name, holds, found):
    if not holds:
        sys.exit(f"FAILED: {name}\nfound: {found}")
    print("ok:", name)


if __name__ == "__main__":
    main()
