"""The checks of run.sh, in order. The first one that fails ends the run."""

import os, pathlib, re, shutil, subprocess, sys, tempfile, time, urllib.request

from prometheus_client.parser import text_string_to_metric_families

ROOT, PROGRAM = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
SAMPLE = ROOT / "sample_data" / "exports"


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        job_file = folder / 'the "daily" job.toml'  # its name must be quoted in the labels
        job_file.write_text("lookback_days = 0\n")
        published = metrics(folder, job_file, "run.prom", 0, "run", "--day", "2026-03-14")
        check("a published day", value(published, "last_run_outcomes", outcome="published") == 1, published)
        check("its job file is a label", {s.labels["job_file"] for f in published for s in f.samples} == {str(job_file)}, published)
        waiting = metrics(folder, job_file, "run.prom", 75, "run", "--day", "2026-03-15")
        check("a day that waits", value(waiting, "last_run_outcomes", outcome="fallback") == 1, waiting)
        days = ("backfill", "--from", "2026-03-13", "--to", "2026-03-14")
        backfill = metrics(folder, job_file, "backfill.prom", 0, *days)
        check("a backfill of two days", value(backfill, "last_run_exit_code") == 0, backfill)
        bad_text_is_refused((folder / "run.prom").read_text())
        lint(folder)
        scrape(folder, value(waiting, "published_timestamp_seconds"))
    print("all checks passed")


def metrics(folder, job_file, name, code, *command):
    file = folder / name
    places = ["--config", job_file, "--exports", SAMPLE, "--results", folder / "results", "--metrics-file", file]
    done = subprocess.run([PROGRAM, "--quiet", *command, *places], capture_output=True, text=True)
    check(f"{command[0]} exits with {code}", done.returncode == code, done.stderr)
    families = list(text_string_to_metric_families(file.read_text()))
    check("every metric is a gauge with a help text", all(f.type == "gauge" and f.documentation for f in families), families)
    names = [f.name for f in families]
    # https://prometheus.io/docs/practices/naming/: a prefix, base units, _total and _count only for counters.
    conventional = re.compile(r"campaign_etl_[a-z_]+(?<!_total)(?<!_count)(?<!_ms)(?<!milliseconds)")
    check("names follow the conventions", all(conventional.fullmatch(n) for n in names) and len(set(names)) == len(names), names)
    samples = [s for f in families for s in f.samples]
    check("labels are few", len(samples) < 100 and all(s.timestamp is None for s in samples), len(samples))
    return families


def value(families, name, **labels):
    found = [
        s.value
        for f in families
        for s in f.samples
        if s.name == f"campaign_etl_{name}" and labels.items() <= s.labels.items()
    ]
    check(f"one {name}", len(found) == 1, found)
    return found[0]


def bad_text_is_refused(text):
    """The parser finds a label whose quotes are not escaped."""
    bad = text.replace('\\"', '"')
    try:
        list(text_string_to_metric_families(bad))
    except ValueError:
        return print("ok: text without escapes is refused")
    sys.exit("FAILED: the parser takes anything")


def lint(folder):
    promtool = shutil.which(os.environ.get("PROMTOOL", "promtool"))
    if not promtool:
        return print("not run: promtool is not here")
    for name in ("run.prom", "backfill.prom"):
        done = subprocess.run([promtool, "check", "metrics"], input=(folder / name).read_text(), capture_output=True, text=True)
        check(f"promtool finds nothing in {name}", done.returncode == 0 and not done.stderr, done.stderr)


def scrape(folder, published_at):
    """Both files at once, through the collector that production uses."""
    exporter = os.environ.get("NODE_EXPORTER")
    exporter = exporter or shutil.which("node_exporter") or shutil.which("prometheus-node-exporter")
    if not exporter:
        return print("not run: node_exporter is not here")
    only = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={folder}"]
    address = "127.0.0.1:19123"
    process = subprocess.Popen([exporter, *only, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                text = urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode()
                break
            except OSError:
                time.sleep(0.1)
        families = list(text_string_to_metric_families(text))
        errors = [s.value for f in families for s in f.samples if s.name == "node_textfile_scrape_error"]
        check("the collector reads both files", errors == [0.0], errors)
        scraped = value(families, "published_timestamp_seconds", command="run")
        check("and gives their values", scraped == published_at, scraped)
    finally:
        process.terminate()
        process.wait()


def check(name, holds, found):
    if not holds:
        sys.exit(f"FAILED: {name}\nfound: {found}")
    print("ok:", name)


if __name__ == "__main__":
    main()
