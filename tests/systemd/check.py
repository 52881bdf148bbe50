"""The checks of run.sh, in order. The first one that fails ends the run."""

import datetime, pathlib, re, subprocess, sys, tempfile, tomllib, zoneinfo

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
UNITS = {name: (ROOT / "jobs" / "systemd" / name).read_text() for name in ("campaign-etl.service", "campaign-etl.timer")}
SERVICE, TIMER = UNITS.values()
MOST_EXPOSED = 2.0  # of 10, as `systemd-analyze security` rates it


def main():
    check("both units are valid", not problems(UNITS), problems(UNITS))
    misspelt_keys_are_found()
    wrong_values_are_found()
    calendar = value(TIMER, "OnCalendar")
    done = subprocess.run(["systemd-analyze", "calendar", calendar], capture_output=True, text=True)
    check("OnCalendar is an instant of each day", done.returncode == 0, done.stderr)
    zone = tomllib.loads((ROOT / "jobs" / "daily.toml").read_text())["time_zone"]
    check("its zone is the time zone of the job file", calendar.endswith(f" {zone}"), calendar)
    for first, change in (("2026-03-06", "forward"), ("2026-10-30", "back")):
        one_start_each_day(calendar, zone, first, change)
    exit_codes_are_those_of_the_docs()
    the_service_is_confined()
    the_program_takes_the_command()
    print("all checks passed")


def problems(units):
    """The lines of `systemd-analyze verify`; none where it finds nothing. The program lies where it was built."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in units.items():
            (pathlib.Path(folder) / name).write_text(text.replace("/usr/local/bin/campaign-etl", str(PROGRAM)))
        paths = [f"{folder}/{name}" for name in units]
        done = subprocess.run(["systemd-analyze", "--man=no", "verify", *paths], capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if "campaign-etl" in line]
        return lines or ([f"exit {done.returncode}: {done.stderr}"] if done.returncode else [])


def misspelt_keys_are_found():
    """Each key in turn gets a letter too much."""
    tried = 0
    for name, text in UNITS.items():
        for line in re.findall(r"^[A-Z]\w+=.*$", text, re.M):
            key = line.split("=")[0]
            mutant = {**UNITS, name: text.replace(line, line.replace(key, f"{key}x", 1), 1)}
            if not problems(mutant):
                sys.exit(f"FAILED: the misspelt key {key}x of {name} is not found")
            tried += 1
    check(f"each of {tried} misspelt keys is found", tried > 40, tried)


def wrong_values_are_found():
    for name, right, wrong in (
        ("campaign-etl.service", "Restart=on-failure", "Restart=on-success"),  # not allowed for Type=oneshot
        ("campaign-etl.service", "ExecStart=/usr/local/bin/campaign-etl", "ExecStart=/usr/local/bin/nothing"),
        ("campaign-etl.service", "MemoryMax=4G", "MemoryMax=much"),
        ("campaign-etl.service", "RestartPreventExitStatus=2 65 70 78", "RestartPreventExitStatus=2 650"),
        ("campaign-etl.timer", "03:30:00 America", "27:30:00 America"),
    ):
        text = UNITS[name]
        check(f"the unit has {right}", right in text, text)
        found = problems({**UNITS, name: text.replace(right, wrong)})
        check(f"{wrong} is found", found, found)


def one_start_each_day(calendar, zone, first, change):
    """One start on each of five days from the first, while clocks are put forward or back."""
    days = [datetime.date.fromisoformat(first) + datetime.timedelta(days) for days in range(5)]
    begin = datetime.datetime.combine(days[0], datetime.time(), zoneinfo.ZoneInfo(zone)).astimezone(datetime.UTC)
    command = ["systemd-analyze", "calendar", "--iterations=5", f"--base-time={begin:%Y-%m-%d %H:%M:%S} UTC", calendar]
    done = subprocess.run(command, env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    starts = re.findall(r"(?:Next elapse|Iter\. #\d+): \w+ ([0-9-]+ [0-9:]+) UTC", done.stdout)
    starts = [datetime.datetime.fromisoformat(f"{start}+00:00").astimezone(zoneinfo.ZoneInfo(zone)) for start in starts]
    offsets = {start.utcoffset() for start in starts}
    check(f"clocks are put {change} in these days", len(offsets) == 2, starts)
    check("and each of them has one start", [start.date() for start in starts] == days, starts)


def exit_codes_are_those_of_the_docs():
    page = (ROOT / "docs" / "operations.md").read_text()
    table = page[page.index("## Exit codes") : page.index("## At 3 a.m.")]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)} - {0}
    retried = {74, 75, 130, 143}  # docs/operations.md#retries
    final = {int(code) for code in value(SERVICE, "RestartPreventExitStatus").split()}
    check("the exit codes that are not retried are those of the docs", final == documented - retried, final)
    check("no failure counts as success", "SuccessExitStatus" not in SERVICE, SERVICE)


def the_service_is_confined():
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "campaign-etl.service"
        unit.write_text(SERVICE.replace("/usr/local/bin/campaign-etl", str(PROGRAM)))
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True
        )
    exposed = re.search(r"Overall exposure level for campaign-etl.service: ([0-9.]+)", done.stdout)
    check(f"its exposure is at most {MOST_EXPOSED}", exposed and float(exposed[1]) <= MOST_EXPOSED, done.stdout + done.stderr)
    print("  exposure:", exposed[1])


def the_program_takes_the_command():
    """The command of the unit, on the sample: it publishes the day and writes its metrics."""
    with tempfile.TemporaryDirectory() as work:
        command = value(SERVICE, "ExecStart").split()
        places = {
            "/etc/campaign-etl/job.toml": str(ROOT / "jobs" / "daily.toml"),
            "/var/lib/campaign-etl/metrics/campaign_etl.prom": f"{work}/campaign_etl.prom",
        }
        check("the command names both files", places.keys() <= set(command), command)
        arguments = [places.get(argument, argument) for argument in command[1:]]
        day = ["--exports", str(ROOT / "sample_data" / "exports"), "--results", f"{work}/results", "--day", "2026-03-14"]
        done = subprocess.run([PROGRAM, *arguments, *day], cwd=work, capture_output=True, text=True)
        check("the program takes the command", done.returncode == 0, done.stderr)
        check("and writes the metrics", pathlib.Path(f"{work}/campaign_etl.prom").exists(), done.stderr)


def value(unit, key):
    return re.search(rf"^{key}=(.*)$", unit, re.M)[1]


def check(name, holds, found):
    if not holds:
        sys.exit(f"FAILED: {name}\nfound: {found}")
    print("ok:", name)


if __name__ == "__main__":
    main()
