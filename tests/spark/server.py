"""Becomes a Spark Connect server on loopback. Arguments: spark, sail or sail-cluster; the port; for Apache Spark more settings
(key=value). The Python that runs this has the server's package."""

import os, pathlib, sys


def main(name, port, *settings):
    os.environ["TZ"] = "Asia/Tokyo"
    if name == "spark":
        import pyspark

        program = str(pathlib.Path(pyspark.__file__).parent / "bin" / "spark-submit")
        fixed = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": port,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "2",
            # The session, not the server, sets everything that the queries rely on.
            "spark.sql.session.timeZone": "Asia/Tokyo",
            "spark.sql.ansi.enabled": "false",
        }
        settings = [f"{key}={value}" for key, value in fixed.items()] + list(settings)
        arguments = ["--master", os.environ.get("SPARK_MASTER", "local[2]"), "--driver-memory", "2g"]
        arguments += [word for setting in settings for word in ("--conf", setting)]
        arguments += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    else:
        os.environ["SAIL_MODE"] = {"sail": "local", "sail-cluster": "local-cluster"}[name]
        program = str(pathlib.Path(sys.prefix) / "bin" / "sail")
        arguments = ["spark", "server", "--ip", "127.0.0.1", "--port", port]
    os.execv(program, [program, *arguments])


main(*sys.argv[1:])
