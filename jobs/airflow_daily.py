"""The nightly job as an Airflow 3 DAG with one task. It computes the day of its data interval, in the zone of the job.

Exit codes decide between retry and failure. While the task waits for its next try, it is `up_for_retry` and holds no worker slot.
The task's XCom is the JSON document of the program. Each table that was written gets an asset event. Needs Linux (`setpriv`).
"""

import json
import os
import subprocess

import pendulum
from airflow.sdk import DAG, Asset, AssetAlias, BaseOperator, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

ZONE = "America/Los_Angeles"  # `time_zone` of the job file
HOME = os.environ.get("CAMPAIGN_ETL_HOME", "/srv/campaign-etl")  # has jobs/daily.toml
RETRIES = int(os.environ.get("CAMPAIGN_ETL_RETRIES", "9"))
RETRY_SECONDS = int(os.environ.get("CAMPAIGN_ETL_RETRY_SECONDS", "1800"))
TIMEOUT_SECONDS = int(os.environ.get("CAMPAIGN_ETL_TIMEOUT_SECONDS", "7200"))  # of one try

# Other DAGs are scheduled on `Asset(name="shop_daily", uri="campaign-etl://results/shop_daily")`.
ASSETS_URI = "campaign-etl://results"
RESULTS = AssetAlias("campaign_etl_results")
# The headings of docs/tables.md; tests/airflow/run.sh compares them.
TABLES = (
    "shop_daily", "channel_daily", "product_daily", "sku_daily", "content_daily", "sub_campaign_daily", "ad_hourly",
    "shop_period", "funnel_period", "channel_period", "product_period", "content_period", "sub_campaign_period",
    "gmv_baseline", "stock_status", "shop_tier", "category_benchmark", "shop_benchmark", "gmv_gap",
)  # fmt: skip


class CampaignEtlRun(BaseOperator):
    """Exit 0 is success. 74, 75 and a stopped run are retried. Any other code needs a person."""

    # The program gets a session of its own: Airflow signals the task's process group, and a second SIGTERM would end the program
    # without releasing its lease. If the task itself is killed, the kernel sends SIGTERM to the program.
    COMMAND = ("setpriv", "--pdeathsig", "TERM", "campaign-etl", "--quiet", "run", "--format", "json", "--day")
    STOP_SECONDS = 60

    program = None

    def execute(self, context):
        day = day_to_compute(context)
        code, document = self.run_program(day)
        if code == 0:
            add_asset_events(context, day, document)
            return document
        if document is not None:
            context["ti"].xcom_push("return_value", document)
        # Negative: killed by that signal. 130 and 143: ended by SIGINT and SIGTERM.
        if code in (74, 75, 130, 143) or code < 0:
            raise AirflowException(f"{day}: exit {code}: not final yet, store failed, or stopped; Airflow retries")
        raise AirflowFailException(f"{day}: exit {code}: a person is needed; see the log above")

    def run_program(self, day):
        """The exit code, and the JSON document unless the program ended before it could print one."""
        # stdin of a task is Airflow's own channel.
        self.program = subprocess.Popen(
            [*self.COMMAND, day],
            cwd=HOME, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            printed, _ = self.program.communicate()
        except BaseException:  # AirflowTaskTimeout is one
            self.stop_program()
            raise
        try:
            return self.program.returncode, json.loads(printed)
        except json.JSONDecodeError:
            return self.program.returncode, None

    def stop_program(self):
        self.program.terminate()
        try:
            self.program.communicate(timeout=self.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.program.kill()
            self.program.communicate()

    def on_kill(self):
        """Called when the task gets SIGTERM; `run_program` is still waiting for the program."""
        if self.program is not None and self.program.poll() is None:
            self.program.terminate()


def day_to_compute(context):
    """`run_date`, else the day on which the data interval starts, else (a run without interval) the day before the run."""
    if context["params"]["run_date"]:
        return context["params"]["run_date"]
    run = context["dag_run"]
    if run.data_interval_start:
        return pendulum.instance(run.data_interval_start).in_timezone(ZONE).to_date_string()
    return pendulum.instance(run.run_after).in_timezone(ZONE).subtract(days=1).to_date_string()


def add_asset_events(context, day, document):
    """One event for each table that was written. Airflow keeps no event of a failed try, so a later try reports every table."""
    days_of = {table: [] for table in TABLES} if context["ti"].try_number > 1 else {}
    for written in document["tables"]:
        days_of.setdefault(written["table"], []).append(written["day"])
    for table, days in days_of.items():
        asset = Asset(name=table, uri=f"{ASSETS_URI}/{table}")
        context["outlet_events"][RESULTS].add(asset, extra={"day": day, "days_written": days})


with DAG(
    dag_id="campaign_etl_daily",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=ZONE),
    start_date=pendulum.datetime(2026, 3, 1, tz=ZONE),
    catchup=False,
    max_active_runs=1,
    params={"run_date": Param(None, type=["null", "string"], format="date", description="day, if not the interval's")},
):
    CampaignEtlRun(
        task_id="run",
        retries=RETRIES,
        retry_delay=pendulum.duration(seconds=RETRY_SECONDS),
        execution_timeout=pendulum.duration(seconds=TIMEOUT_SECONDS),
        outlets=[RESULTS],
    )
