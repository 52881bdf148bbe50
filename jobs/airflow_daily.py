"""The nightly job as an Airflow 3 DAG with one task; it computes the day of its data interval.

Exit codes decide between retry and failure. The parameter `run_date` names another day for manual runs and their retries.
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
        """Exit 0 is success. 74, 75 and a stopped run are retried. Any other code needs a person."""
        import subprocess

        day = params["run_date"] or data_interval_start.in_timezone(ZONE).date().isoformat()
        code = subprocess.run(["campaign-etl", "--quiet", "run", "--day", day], cwd=HOME).returncode
        # Negative: killed by that signal. 130 and 143: ended by SIGINT and SIGTERM.
        if code in (74, 75, 130, 143) or code < 0:
            raise RuntimeError(f"exit {code}: not final yet, store failed, or stopped; Airflow retries")
        if code != 0:
            raise AirflowFailException(f"exit {code}: a person is needed; see the log above")

    run()
