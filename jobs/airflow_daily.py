"""The nightly job as an Airflow 3 DAG: one task, the day it processes as its data interval, and exit codes as decisions.

`run_date` as a parameter makes manual runs and retries name their day; the schedule's day is the data interval's first.
"""
import pendulum
from airflow.exceptions import AirflowFailException
from airflow.sdk import DAG, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

ZONE = "America/Los_Angeles"
HOME = "/srv/campaign-etl"

with DAG(
    dag_id="campaign_etl_daily",
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=ZONE),
    start_date=pendulum.datetime(2026, 3, 1, tz=ZONE),
    catchup=False,
    max_active_runs=1,
    params={"run_date": Param(None, type=["null", "string"], format="date", description="day, if not the interval's")},
    default_args={"retries": 9, "retry_delay": pendulum.duration(minutes=30)},
):

    @task
    def run(params=None, data_interval_start=None):
        """Exit 0 is done, 75 and 74 are retried; a person is needed for anything else."""
        import subprocess

        day = params["run_date"] or data_interval_start.in_timezone(ZONE).date().isoformat()
        code = subprocess.run(["campaign-etl", "--quiet", "run", "--day", day], cwd=HOME).returncode
        if code in (74, 75):
            raise RuntimeError(f"exit {code}: not final yet, or the store failed; Airflow retries")
        if code != 0:
            raise AirflowFailException(f"exit {code}: a person is needed; see the log above")

    run()
