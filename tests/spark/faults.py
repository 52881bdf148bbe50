"""The end of a run whose server is stopped, killed, frozen or not reached, and the work left on the server. Arguments: the
program, the server (spark, sail, sail-cluster), and the Python that has it. The first check that fails ends the run."""

import shutil, signal, time

from harness import EXPORTS, SERVER, WORK, Proxy, Run, Server, check, engine, finished, free_port, generate

MOST_SILENT = 20  # seconds, as in src/pipeline/spark/client.rs
FAILED, CONFIG_WRONG, TERMINATED = 74, 78, 143


def main():
    generate()
    expected = finished(Run("--engine", "local"))
    with Server() as server:
        undisturbed = Run(*engine(server.port))
        check("an undisturbed run", finished(undisturbed) == expected)
        again = Run(*engine(server.port))
        check("a second run", finished(again) == expected)
        half = again.seconds / 2  # a server that has just started takes longer

        for number, what in ((signal.SIGTERM, "stopped"), (signal.SIGKILL, "killed")):
            run = Run(*engine(server.port), wait=False)
            time.sleep(half)
            server.end(number)
            run.wait()
            check_failed(f"the server {what} in the middle of a run", run, most_seconds=half + MOST_SILENT + 10)
            server.start()
            check(f"the run after the server was {what}", finished(Run(*engine(server.port))) == expected)

        run = Run(*engine(server.port), wait=False)
        time.sleep(half)
        server.end(signal.SIGKILL)
        server.start()
        run.wait()
        check_failed("the server killed and started again in the middle of a run", run, most_seconds=half + MOST_SILENT + 40)
        check("the run after that", finished(Run(*engine(server.port))) == expected)

        run = Run(*engine(server.port), wait=False)
        time.sleep(half)
        asked = time.monotonic()
        run.process.send_signal(signal.SIGTERM)
        run.wait()
        took = time.monotonic() - asked
        check(f"SIGTERM ends a run in {took:.1f} s", run.code == TERMINATED and took < 5 and not run.published())
        check("after SIGTERM the server is idle", server.is_idle_within(5))

        run = Run(*engine(server.port), wait=False)
        time.sleep(half)
        run.process.kill()
        run.wait()
        check("after SIGKILL the server becomes idle", server.is_idle_within(60))

        run = Run(*engine(server.port), wait=False)
        time.sleep(half)
        server.signal(signal.SIGSTOP)
        run.wait()
        server.signal(signal.SIGCONT)
        check_failed("the server frozen in the middle of a run", run, most_seconds=half + 3 * MOST_SILENT)
        check("the run after the server was frozen", finished(Run(*engine(server.port))) == expected)

        for seconds in (0, 5):
            with Proxy(server.port) as proxy:
                run = Run(*engine(proxy.port), wait=False)
                time.sleep(half)
                cut = proxy.cut(seconds)
                run.wait()
                check(f"{cut} connections cut, and none for {seconds} s: attached again", finished(run) == expected)

    run = Run(*engine(free_port()))
    check_failed("no server", run, most_seconds=MOST_SILENT + 10)
    odd = WORK / "ex*ports"
    odd.symlink_to(EXPORTS)
    run = Run(*engine(free_port()), exports=odd)
    check("a location that a server takes for a pattern", run.code == CONFIG_WRONG and "ex*ports" in run.stderr, run)

    if SERVER == "spark":
        # The answer to a query is cut every 0.3 seconds, as it is every two minutes by default.
        with Server("spark.connect.execute.reattachable.senderMaxStreamDuration=300ms") as server:
            check("answers cut by the server", finished(Run(*engine(server.port))) == expected)
        with Server(
            "spark.connect.session.manager.defaultSessionTimeout=2s", "spark.connect.session.manager.maintenanceInterval=1s"
        ) as server:
            check("sessions forgotten after 2 s", finished(Run(*engine(server.port))) == expected)
    print(f"{SERVER}: all faults are survived")


def check_failed(what, run, most_seconds):
    is_clean = run.code == FAILED and "the Spark server sc://" in run.stderr and not run.published()
    check(f"{what}: 74 after {run.seconds:.1f} s", is_clean and run.seconds < most_seconds, run)


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
