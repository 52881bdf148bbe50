"""Exports in an S3 server: Sail reads them there, not through the program. Arguments: the program, sail, the Python that has it,
and the folder with SeaweedFS. The first check that fails ends the run."""

import contextlib, os, shutil, signal, subprocess, sys, time

from harness import EXPORTS, HERE, WORK, Proxy, Run, Server, check, engine, finished, generate

WEED = sys.argv[4] + "/weed"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testsecret", "AWS_REGION": "us-east-1"}
AWS = {**KEYS, "AWS_ALLOW_HTTP": "true", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false"}


def main():
    generate()
    os.environ.update(AWS)
    with store() as (port, filer):
        subprocess.run([WEED, "filer.copy", EXPORTS, f"http://127.0.0.1:{filer}/buckets/test/"], check=True, capture_output=True)
        os.environ["AWS_ENDPOINT"] = f"http://127.0.0.1:{port}"
        with Server() as server, Proxy(port) as proxy:
            os.environ["AWS_ENDPOINT"] = f"http://127.0.0.1:{proxy.port}"
            expected = finished(Run("--engine", "local", exports="s3://test/exports"))
            local, proxy.bytes_back = proxy.bytes_back, 0
            found = finished(Run(*engine(server.port), exports="s3://test/exports"))
            check("exports on S3: the same files", found == expected)
            check(f"the program read {local} bytes of exports, with the cluster {proxy.bytes_back}", proxy.bytes_back < local / 10)


@contextlib.contextmanager
def store():
    """An S3 server with the bucket `test`: its port, and the port to copy folders to."""
    master, volume, filer, s3 = "21333", "21080", "21888", "21334"
    (WORK / "store").mkdir()
    places = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]
    places += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={WORK / 'store'}", f"-s3.config={HERE.parent / 'stores' / 's3.json'}"]
    sizes = ["-volume.max=20", "-master.volumeSizeLimitMB=64", "-master.telemetry=false"]
    log = open(WORK / "store.log", "w")
    process = subprocess.Popen([WEED, "server", *places, *sizes, "-filer", "-s3"], stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(30):
            shell = [WEED, "shell", f"-master=127.0.0.1:{master}"]
            said = subprocess.run(shell, input="s3.bucket.create -name test\n", capture_output=True, text=True)
            if "create bucket" in said.stdout + said.stderr:
                break
            time.sleep(1)
        else:
            sys.exit("the store did not start: " + (WORK / "store.log").read_text()[-2000:])
        yield s3, filer
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
