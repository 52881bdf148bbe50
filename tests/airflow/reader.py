"""A DAG of somebody else: it runs when `shop_period` was written, and keeps the events in its XCom."""

from airflow.sdk import DAG, Asset, task

SHOP_PERIOD = Asset(name="shop_period", uri="campaign-etl://results/shop_period")

with DAG(dag_id="reader", schedule=[SHOP_PERIOD], catchup=False):

    @task
    def read(triggering_asset_events=None):
        return [event.extra for event in triggering_asset_events[SHOP_PERIOD]]

    read()
