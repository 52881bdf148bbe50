"""The checks of run.sh, in order. The first one that fails ends the run.

They start Airflow's own commands, and read states, XComs and asset events from its SQLite file: the commands take seconds each.
"""

import ast, contextlib, datetime, json, os, pathlib, re, shutil, signal, socket, sqlite3, subprocess, sys, time, tomllib
import urllib.request, zoneinfo

WORK, ROOT = pathlib.Path(os.environ["WORK"]), pathlib.Path(os.environ["ROOT"])
HOME, PROGRAM = WORK / "home", WORK / "bin" / "campaign-etl"
DAG_FILE = ROOT / "jobs" / "airflow_daily.py"
DAG_ID = "campaign_etl_daily"
BIG_DAYS = ("2026-04-10", "2026-04-11")  # of `generate`: a run takes seconds, so that it can be caught at work


def constants_of_the_dag():
    constants = {}
    for node in ast.parse(DAG_FILE.read_text()).body:
        if isinstance(node, ast.Assign):
            with contextlib.suppress(ValueError):
                constants[node.targets[0].id] = ast.literal_eval(node.value)
    return constants


CONSTANTS = constants_of_the_dag()
TABLES, ZONE = CONSTANTS["TABLES"], CONSTANTS["ZONE"]


def main():
    os.environ.update(settings(free_port()))
    command("airflow", "db", "migrate")
    one_import()
    two_dags_test()
    generate_big_days()
    three_timeout()
    with standalone():
        four_backfill()
        five_two_runs_at_once()
        six_killed_task()
        seven_terminated_task()
        eight_task_marked_failed()
        nine_run_without_interval()
    ten_days_at_clock_changes()
    print("all checks passed")


def settings(port):
    url = f"http://127.0.0.1:{port}"
    return {
        "AIRFLOW_HOME": str(WORK / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{WORK}/airflow/airflow.db?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(WORK / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",  # the checks set other retries
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "CAMPAIGN_ETL_HOME": str(HOME),
        "CAMPAIGN_ETL_RETRIES": "2",
        "CAMPAIGN_ETL_RETRY_SECONDS": "1",
    }


# 1


def one_import():
    errors = command("airflow", "dags", "list-import-errors", "--local")
    check("1 import: no import errors", "No data found" in errors, errors)
    page = (ROOT / "docs" / "tables.md").read_text()
    results = page[page.index("\n## Results") : page.index("\n## Exports")]
    headings = re.findall(r"^### (\w+)$", results, re.M)
    check("1 import: TABLES are the results of docs/tables.md", list(TABLES) == headings, headings)
    zone = tomllib.loads((ROOT / "jobs" / "daily.toml").read_text())["time_zone"]
    check("1 import: ZONE is the time zone of the job file", ZONE == zone, zone)


# 2


def two_dags_test():
    # 05:00 in Los Angeles: the last whole interval is that from 02:00 of the 10th to 02:00 of the 11th.
    run = dags_test("2026-03-11T12:00:00+00:00")
    check("2 dags test, final day: succeeds at the first try", run.state == ("success", 1), run)
    check("2 dags test, final day: the day of the interval", run.xcom["day"] == "2026-03-10", run)
    check(
        "2 dags test, final day: XCom is the JSON document",
        (run.xcom["outcome"], run.xcom["exit_code"]) == ("published", 0),
        run,
    )
    check("2 dags test, final day: 19 asset events", run.events == set(TABLES), run)

    run = dags_test("2026-03-11T13:00:00+00:00")
    check(
        "2 dags test, the day again: up to date, and no asset event",
        (run.xcom["outcome"], run.events) == ("up_to_date", set()),
        run,
    )

    with export_moved_away("order_lines", "2026-03-11"):
        run = dags_test("2026-03-12T12:00:00+00:00")
        check("2 dags test, fallback day: fails after the third try", run.state == ("failed", 3), run)
        document = (run.xcom["day"], run.xcom["outcome"], run.xcom["exit_code"], run.xcom["retry"])
        check("2 dags test, fallback day: XCom says fallback, 75", document == ("2026-03-11", "fallback", 75, True), run)
        check("2 dags test, fallback day: benchmarks stand in", published("category_benchmark", "2026-03-11"))
        check("2 dags test, fallback day: no asset event", run.events == set(), run)

    with export_replaced("order_lines", "2026-03-12"):
        run = dags_test("2026-03-13T12:00:00+00:00")
        check("2 dags test, blocked day: fails without a retry", run.state == ("failed", 1), run)
        document = (run.xcom["outcome"], run.xcom["exit_code"], run.xcom["retry"])
        check("2 dags test, blocked day: XCom says blocked, 65", document == ("blocked", 65, False), run)

    with export_moved_away("order_lines", "2026-03-13") as put_back:
        testing = start_dags_test("2026-03-14T12:00:00+00:00", CAMPAIGN_ETL_RETRY_SECONDS="8")
        wait_for("up_for_retry", lambda: last_run().state[0] == "up_for_retry")
        check("2 dags test, final between retries: first try 75", last_run().xcom["exit_code"] == 75, last_run())
        put_back()
        run = end_dags_test(testing)
        check("2 dags test, final between retries: the second try succeeds", run.state == ("success", 2), run)
        check("2 dags test, final between retries: 19 asset events", len(run.events) == 19, run)
        check("2 dags test, final between retries: the day is published", published("shop_daily", "2026-03-13"))


def dags_test(logical_date, **environment):
    return end_dags_test(start_dags_test(logical_date, **environment))


def start_dags_test(logical_date, *more, **environment):
    log = (WORK / "dags-test.log").open("w")
    arguments = ["airflow", "dags", "test", DAG_ID, logical_date, *more]
    return subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **environment})


def end_dags_test(process):
    code = process.wait(timeout=300)
    run = last_run()
    check_quietly(
        "`dags test` exits with 1 exactly when its run fails", (code == 0) == (run.state[0] == "success"), (code, run)
    )
    return run


@contextlib.contextmanager
def export_moved_away(dataset, day):
    """The export has not arrived. Gives the function that lets it arrive."""
    folder, aside = HOME / "exports" / dataset / f"dt={day}", WORK / "aside"
    folder.rename(aside)

    def put_back():
        if aside.exists():
            aside.rename(folder)

    yield put_back
    put_back()


@contextlib.contextmanager
def export_replaced(dataset, day):
    """The export is no Parquet file."""
    file = HOME / "exports" / dataset / f"dt={day}" / "part-0.parquet"
    good = file.read_bytes()
    file.write_bytes(b"no Parquet file")
    yield
    file.write_bytes(good)


# 3


def generate_big_days():
    command(PROGRAM, "--quiet", "generate", "--shops", "20000", "--days", "2", "--rows-per-day", "10000000",
            "--first-day", BIG_DAYS[0], "--out", str(HOME / "exports"), cwd=HOME)  # fmt: skip


def three_timeout():
    testing = start_dags_test(
        "2026-04-12T12:00:00+00:00", "-c", json.dumps({"run_date": BIG_DAYS[1]}),
        CAMPAIGN_ETL_RETRIES="0", CAMPAIGN_ETL_TIMEOUT_SECONDS="1",
    )  # fmt: skip
    run = end_dags_test(testing)
    log = (WORK / "dags-test.log").read_text()
    check("3 timeout: the try ends with a timeout", run.state == ("failed", 1) and "AirflowTaskTimeout" in log, run)
    check("3 timeout: the program got SIGTERM and was waited for", not programs() and not published("shop_daily", BIG_DAYS[1]))
    # A killed program would leave its lease, and this run would exit with 75.
    holder = json.loads(command(PROGRAM, "status", "--day", BIG_DAYS[1], "--format", "json", cwd=HOME)).get("holder")
    check("3 timeout: it released its lease", holder is None, holder)


# 4 to 9


@contextlib.contextmanager
def standalone():
    log = (WORK / "standalone.log").open("w")
    environment = {**os.environ, "CAMPAIGN_ETL_RETRIES": "4", "CAMPAIGN_ETL_RETRY_SECONDS": "5"}
    # The database has the DAG with the retries of the check before.
    command("airflow", "dags", "reserialize", env=environment)
    create_backfill()
    process = subprocess.Popen(
        ["airflow", "standalone"], stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
    )
    try:
        wait_for("the API server", lambda: api("/api/v2/monitor/health")["scheduler"]["status"] == "healthy")
        for dag in (DAG_ID, "reader"):
            wait_for(dag, lambda: api(f"/api/v2/dags/{dag}", "PATCH", {"is_paused": False}))
        yield
    except BaseException:
        print((WORK / "standalone.log").read_text()[-6000:])
        raise
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def create_backfill():
    """Before the scheduler starts: SQLite refuses now and then what two processes write at once."""
    shutil.rmtree(HOME / "results")
    # Logical dates are 02:00 in Los Angeles, and `--to-date` means 00:00: it is the day after the last one.
    command("airflow", "backfill", "create", "--dag-id", DAG_ID, "--from-date", "2026-03-12", "--to-date", "2026-03-15",
            "--max-active-runs", "3")  # fmt: skip


def four_backfill():
    days = ["2026-03-12", "2026-03-13", "2026-03-14"]
    wait_for("the backfill", lambda: [run.state[0] for run in runs("backfill")] == ["success"] * 3)
    found = runs("backfill")
    check("4 backfill: three days, in two slots", [run.xcom["day"] for run in found] == days, found)
    check("4 backfill: `ds` is the day", [run.ds for run in found] == days, found)
    print("  tries:", [run.state[1] for run in found], "outcomes:", [run.xcom["outcome"] for run in found])
    check("4 backfill: every table of every day", all(published(table, day) for table in TABLES for day in days))
    logs = [file.read_text() for file in (WORK / "airflow" / "logs" / f"dag_id={DAG_ID}").rglob("*.log")]
    check(
        "4 backfill: warnings of the program are in the log of its task",
        any("rows quarantined" in log for log in logs),
        len(logs),
    )
    events = set().union(*(run.events for run in found))
    check("4 backfill: asset events for the 19 tables", events == set(TABLES), events)
    wait_for("the reader", lambda: any(state == "success" for state, *_ in reader_runs()))
    written = [extra for _, extras in reader_runs() for extra in extras or []]
    check(
        "4 backfill: a DAG scheduled on shop_period ran, and knows the days",
        any(e["day"] in days and e["day"] in e["days_written"] for e in written),
        written,
    )
    screenshot(found[-1].run_id)
    # The nightly run of yesterday waits for exports that never come. No other run but a backfill's starts before it ends.
    wait_for("the nightly run's last try", lambda: [run.state[0] for run in runs("scheduled")] == ["failed"], seconds=240)
    nightly = runs("scheduled")[0]
    yesterday_or_before = nightly.xcom["day"] == nightly.ds and nightly.xcom["exit_code"] == 75
    check(
        "4 nightly run: one, of the last day only; without exports five tries exit with 75",
        yesterday_or_before and nightly.state == ("failed", 5),
        nightly,
    )


def five_two_runs_at_once():
    holder = subprocess.Popen(
        [PROGRAM, "--quiet", "run", "--day", BIG_DAYS[0]], cwd=HOME, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for("the lease", lambda: status(BIG_DAYS[0]).get("holder"), pause=0.01)
    holder.send_signal(signal.SIGSTOP)
    check_quietly("the holder was stopped at work", holder.poll() is None and not published("shop_daily", BIG_DAYS[0]))
    trigger("two-at-once", BIG_DAYS[0])
    wait_for("the second run's 75", lambda: by_id("two-at-once").state[0] == "up_for_retry", pause=0.2)
    first = by_id("two-at-once").xcom
    check("5 two runs at once: the second one exits with 75", (first["outcome"], first["exit_code"]) == ("held", 75), first)
    holder.send_signal(signal.SIGCONT)
    check("5 two runs at once: the holder publishes", holder.wait(timeout=120) == 0)
    wait_for("the second run", lambda: by_id("two-at-once").state[0] == "success")
    check("5 two runs at once: the next try succeeds", by_id("two-at-once").state[1] >= 2, by_id("two-at-once"))
    check("5 two runs at once: the day is whole", status_is_whole(BIG_DAYS[0]))


def six_killed_task():
    trigger("killed", BIG_DAYS[1])
    program, task = program_stopped_at_work(BIG_DAYS[1])
    os.kill(task, signal.SIGKILL)
    wait_for("SIGTERM", lambda: has_pending_sigterm(program), seconds=10, pause=0.02)
    end_stopped(program)
    check("6 killed task: the program ends with it", not programs())
    check("6 killed task: no torn day, it published nothing", not any(published(table, BIG_DAYS[1]) for table in TABLES))
    wait_for("the next try", lambda: by_id("killed").state[0] == "success")
    run = by_id("killed")
    check("6 killed task: the second try succeeds", run.state == ("success", 2), run)
    check("6 killed task: the day is whole", status_is_whole(BIG_DAYS[1]))
    check("6 killed task: the second try reports every table", run.events == set(TABLES), run)


def seven_terminated_task():
    """As when a worker is shut down, or Airflow ends a task: SIGTERM to the task's process group."""
    unpublish(BIG_DAYS[1])
    trigger("terminated", BIG_DAYS[1])
    program, task = program_stopped_at_work(BIG_DAYS[1])
    os.kill(program, signal.SIGCONT)
    os.killpg(task, signal.SIGTERM)
    wait_for("the end of the program", lambda: program not in programs(), seconds=30, pause=0.02)
    check("7 terminated task: no torn day, it published nothing", not any(published(table, BIG_DAYS[1]) for table in TABLES))
    wait_for("the retry", lambda: by_id("terminated").state[0] == "up_for_retry", pause=0.2)
    check("7 terminated task: XCom has exit code 143", by_id("terminated").xcom["exit_code"] == 143, by_id("terminated"))
    wait_for("the next try", lambda: by_id("terminated").state[0] == "success")
    # A program that got SIGTERM twice would not have released its lease, and the second try would exit with 75.
    check("7 terminated task: the second try succeeds", by_id("terminated").state == ("success", 2), by_id("terminated"))
    check("7 terminated task: the day is whole", status_is_whole(BIG_DAYS[1]))


def eight_task_marked_failed():
    unpublish(BIG_DAYS[1])
    trigger("marked", BIG_DAYS[1])
    program, _ = program_stopped_at_work(BIG_DAYS[1])
    api(f"/api/v2/dags/{DAG_ID}/dagRuns/marked/taskInstances/run", "PATCH", {"new_state": "failed"})
    wait_for("SIGTERM", lambda: has_pending_sigterm(program), seconds=60, pause=0.02)
    end_stopped(program)
    time.sleep(8)  # longer than a retry would wait
    run = by_id("marked")
    check("8 task marked as failed: the program is gone, no retry", run.state == ("failed", 1) and not programs(), run)
    holder = status(BIG_DAYS[1]).get("holder")
    check("8 task marked as failed: it released its lease", holder is None, holder)
    trigger("after-marked", BIG_DAYS[1])
    wait_for("the next run", lambda: by_id("after-marked").state[0] == "success")
    check(
        "8 task marked as failed: the next run heals the day",
        status_is_whole(BIG_DAYS[1]) and published("shop_daily", BIG_DAYS[1]),
    )


def unpublish(day):
    for table in TABLES:
        shutil.rmtree(HOME / "results" / table / f"dt={day}")


def program_stopped_at_work(day):
    """The pids of the program, stopped while it holds the lease, and of its task."""
    program, task = wait_for("the program", program_and_its_task, pause=0.01)
    wait_for("the lease", lambda: status(day).get("holder"), pause=0.01)
    os.kill(program, signal.SIGSTOP)
    check_quietly("the program was stopped at work", not published("shop_daily", day))
    return program, task


def end_stopped(program):
    os.kill(program, signal.SIGCONT)
    wait_for("the end of the program", lambda: program not in programs(), seconds=30, pause=0.02)


def nine_run_without_interval():
    trigger("no-interval", None)
    wait_for("the first try", lambda: by_id("no-interval").state[0] == "up_for_retry")
    zone = zoneinfo.ZoneInfo(ZONE)
    yesterday = datetime.datetime.now(zone).date() - datetime.timedelta(days=1)
    run = by_id("no-interval")
    check("9 run without interval and run_date: the day before it, in the zone", run.xcom["day"] == str(yesterday), run)


def trigger(run_id, day):
    """A manual run, without a logical date."""
    conf = {} if day is None else {"run_date": day}
    api(f"/api/v2/dags/{DAG_ID}/dagRuns", "POST", {"dag_run_id": run_id, "logical_date": None, "conf": conf})


def screenshot(run_id):
    browser, file = shutil.which("chromium"), os.environ.get("SCREENSHOT")
    if not browser or not file:
        print("  no screenshot: it needs chromium and SCREENSHOT=FILE")
        return
    url = f"{os.environ['AIRFLOW__API__BASE_URL']}/dags/{DAG_ID}/runs/{run_id}"
    subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,900",
                    f"--user-data-dir={WORK / 'chromium'}", "--timeout=20000", "--virtual-time-budget=20000",
                    f"--screenshot={file}", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)  # fmt: skip


# 10


def ten_days_at_clock_changes():
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable
    import pendulum

    for first, last in (("2026-03-05", "2026-03-11"), ("2026-10-29", "2026-11-04")):
        timetable = CronDataIntervalTimetable("0 2 * * *", timezone=ZONE)
        restriction = TimeRestriction(earliest=pendulum.parse(first, tz=ZONE), latest=None, catchup=True)
        interval, days = None, []
        while not days or days[-1][0] < last:
            interval = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction).data_interval
            start, end = (instant.in_timezone(ZONE) for instant in interval)
            days.append((start.to_date_string(), interval.start.in_timezone("UTC").to_date_string(), end.to_date_string()))
        expected = [pendulum.parse(first).add(days=n).to_date_string() for n in range(len(days))]
        check(
            f"10 clock change: one run for each civil day from {first} to {last}", [day for day, _, _ in days] == expected, days
        )
        check("10 clock change: `ds` is the same day", all(day == ds for day, ds, _ in days), days)
        check("10 clock change: the day is over when its run starts", all(day < end for day, _, end in days), days)
    tokyo = CronDataIntervalTimetable("0 2 * * *", timezone="Asia/Tokyo").infer_manual_data_interval(
        run_after=pendulum.datetime(2026, 3, 14, 12, tz="Asia/Tokyo")
    )
    days = (tokyo.start.in_timezone("Asia/Tokyo").to_date_string(), tokyo.start.in_timezone("UTC").to_date_string())
    check("10 east of UTC, `ds` is the day before", days == ("2026-03-13", "2026-03-12"), days)


# What Airflow and the program say


class Run:
    def __init__(self, database, run_id, logical_date):
        self.run_id, self.ds = run_id, (logical_date or "")[:10]
        query = "select state, try_number from task_instance where dag_id = ? and run_id = ? and task_id = 'run'"
        self.state = database.execute(query, (DAG_ID, run_id)).fetchone() or (None, 0)
        query = "select value from xcom where dag_id = ? and run_id = ? and task_id = 'run' and key = 'return_value'"
        row = database.execute(query, (DAG_ID, run_id)).fetchone()
        self.xcom = decoded(row[0]) if row else None
        query = "select name from asset_event join asset on asset.id = asset_id where source_dag_id = ? and source_run_id = ?"
        self.events = {name for (name,) in database.execute(query, (DAG_ID, run_id))}

    def __repr__(self):
        document = {key: value for key, value in (self.xcom or {}).items() if key not in ("tables", "datasets")}
        return f"{self.run_id}: {self.state}, events {sorted(self.events)}, {document}"


def decoded(value):
    value = json.loads(value)
    return json.loads(value) if isinstance(value, str) else value


@contextlib.contextmanager
def database():
    connection = sqlite3.connect(f"file:{WORK}/airflow/airflow.db?mode=ro", uri=True, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


def runs(run_type):
    query = "select run_id, logical_date from dag_run where dag_id = ? and run_type = ? order by logical_date"
    with database() as db:
        return [Run(db, *row) for row in db.execute(query, (DAG_ID, run_type)).fetchall()]


def by_id(run_id):
    with database() as db:
        return Run(db, run_id, None)


def last_run():
    query = "select run_id, logical_date from dag_run where dag_id = ? order by id desc limit 1"
    with database() as db:
        row = db.execute(query, (DAG_ID,)).fetchone()
        return Run(db, *row)


def reader_runs():
    query = """select state, value from dag_run left join xcom on xcom.dag_id = dag_run.dag_id and xcom.run_id = dag_run.run_id
               where dag_run.dag_id = 'reader'"""
    with database() as db:
        return [(state, value and decoded(value)) for state, value in db.execute(query).fetchall()]


def published(table, day):
    return (HOME / "results" / table / f"dt={day}" / "_SUCCESS").exists()


def status(day):
    return json.loads(command(PROGRAM, "status", "--day", day, "--format", "json", cwd=HOME))


def status_is_whole(day):
    document = status(day)
    state = document["days"][-1]
    return (
        state["day"] == day and state["state"] == "up to date" and not state["lost"] and not document.get("unfinished_commit")
    )


def programs():
    """The pids of the running programs of this test, without those that `status` starts."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if (folder / "exe").readlink() == PROGRAM and b"run" in (folder / "cmdline").read_bytes().split(b"\0"):
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found[int(folder.name)] = int(stat[1])
    return found


def program_and_its_task():
    for program, task in programs().items():
        return program, task


def has_pending_sigterm(pid):
    with contextlib.suppress(OSError):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return any(
            int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1 for line in lines if line.startswith(("SigPnd", "ShdPnd"))
        )
    return True


TOKEN = None


def api(path, method="GET", body=None):
    global TOKEN
    base = os.environ["AIRFLOW__API__BASE_URL"]
    if TOKEN is None:
        TOKEN = json.load(urllib.request.urlopen(f"{base}/auth/token", timeout=20))["access_token"]
    request = urllib.request.Request(base + path, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {TOKEN}")
    return json.load(urllib.request.urlopen(request, timeout=20))


# Helpers


def command(*arguments, **options):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    check_quietly(" ".join(map(str, arguments)), done.returncode == 0, done.stdout + done.stderr)
    return done.stdout


def wait_for(name, condition, seconds=120, pause=0.5):
    """Until the condition gives something. Errors count as "not yet": a server may still be starting."""
    end, error = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except (OSError, KeyError, TypeError, sqlite3.Error) as e:
            error = e
        time.sleep(pause)
    with contextlib.suppress(Exception):
        print([*runs("backfill"), *runs("scheduled"), last_run()])
    fail(f"waited {seconds} seconds for {name}", error)


def check(name, holds, found=""):
    check_quietly(name, holds, found)
    print("ok:", name)


def check_quietly(name, holds, found=""):
    if not holds:
        fail(name, found)


def fail(name, found):
    sys.exit(f"FAILED: {name}\nfound: {found}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


if __name__ == "__main__":
    main()
