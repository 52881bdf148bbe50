"""Times commands on an object store that takes 30 ms for each request, and counts the requests.

run.py [BINARY] [--large] [--long] [--real=EXPORTS] starts an S3 server (SeaweedFS, see tests/stores/requirements.txt for its package) on loopback and a proxy before it
that holds every request for 30 ms. The exports and the results of the sample are both on it. Needs `weed` on the PATH, or WEED.
--large: also a generated day of 5 million rows. --long: also a backfill of 184 generated days. --real: also a backfill of 184 days
of the real year, made by tests/real/completejourney.py.
"""

import collections
import http.client
import http.server
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = [argument for argument in sys.argv[1:] if argument.startswith("--")]
BINARY = ([argument for argument in sys.argv[1:] if argument not in OPTIONS] or [ROOT / "target/release/campaign-etl"])[0]
WEED = os.environ.get("WEED", "weed")
DELAY = 0.030
SERVER, FILER, PROXY = 21334, 21888, 21336
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}
COUNTS = collections.Counter()


class Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    connections = threading.local()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        COUNTS[self.kind()] += 1
        time.sleep(DELAY)
        server = getattr(self.connections, "server", None)
        if server is None:
            server = self.connections.server = http.client.HTTPConnection("127.0.0.1", SERVER, timeout=60)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body)
        response = server.getresponse()
        content = response.read()
        self.send_response_only(response.status)
        length = len(content)
        for name, value in response.getheaders():
            if self.command == "HEAD" and name.lower() == "content-length":
                length = value
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def kind(self):
        if self.command == "GET" and "list-type=" in self.path:
            return "LIST"
        if self.command == "PUT" and self.headers.get("x-amz-copy-source"):
            return "COPY"
        return self.command

    def log_message(self, *_):
        pass

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward


class Proxy(http.server.ThreadingHTTPServer):
    # With the default of 5, most of the first requests wait for a connection.
    request_queue_size = 128
    daemon_threads = True


def start_server(work):
    weed = subprocess.Popen(
        [WEED, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={work}", "-volume.max=20",
         "-master.volumeSizeLimitMB=64", "-master.telemetry=false", "-master.port=21333", "-volume.port=21080",
         "-filer", f"-filer.port={FILER}", "-s3", f"-s3.port={SERVER}", f"-s3.config={ROOT}/tests/stores/s3.json"],
        stdout=open(work / "server.log", "w"), stderr=subprocess.STDOUT,
    )
    for _ in range(30):
        made = subprocess.run([WEED, "shell", "-master=127.0.0.1:21333"], input="s3.bucket.create -name test\n",
                              capture_output=True, text=True)
        if "create bucket" in made.stdout:
            return weed
        time.sleep(1)
    sys.exit(f"the server did not start: {made.stdout}")


def upload(folder, prefix):
    filer = http.client.HTTPConnection("127.0.0.1", FILER)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            filer.request("PUT", f"/buckets/test/{prefix}/{path.relative_to(folder)}", path.read_bytes())
            filer.getresponse().read()


def generate(folder, prefix, *options):
    subprocess.run([BINARY, "generate", "--quiet", "--out", folder, *options], check=True, stdout=subprocess.DEVNULL)
    upload(folder, prefix)


def timed(name, command, results="results", exports="exports", config="jobs/daily.toml"):
    COUNTS.clear()
    environment = dict(os.environ, AWS_ENDPOINT=f"http://127.0.0.1:{PROXY}", AWS_ALLOW_HTTP="true", AWS_REGION="us-east-1",
                       AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="testsecret", AWS_VIRTUAL_HOSTED_STYLE_REQUEST="false")
    begun = time.monotonic()
    ran = subprocess.run([BINARY, *command.split(), "--quiet", "--config", ROOT / config, "--exports",
                          f"s3://test/{exports}", "--results", f"s3://test/{results}"], env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    if ran.returncode != 0:
        sys.exit(f"{command}: {ran.returncode} {ran.stdout[-3000:]} {ran.stderr}")
    kinds = ", ".join(f"{kind} {COUNTS[kind]}" for kind in sorted(COUNTS))
    print(f"| {name} | {seconds:.2f} | {sum(COUNTS.values())} | {kinds} |", flush=True)


with tempfile.TemporaryDirectory() as work:
    weed = start_server(pathlib.Path(work))
    try:
        proxy = Proxy(("127.0.0.1", PROXY), Slow)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        upload(ROOT / "sample_data/exports", "exports")
        print("| command | s | requests | of which |\n| --- | ---: | ---: | --- |")
        timed("backfill of 14 days", "backfill --from 2026-03-01 --to 2026-03-14")
        timed("run, up to date", "run --day 2026-03-14")
        timed("status", "status --day 2026-03-14")
        timed("13 days first", "backfill --from 2026-03-01 --to 2026-03-13", "second")
        timed("run of one day more", "run --day 2026-03-14", "second")
        timed("run of one day, nothing before", "backfill --from 2026-03-01 --to 2026-03-01", "third")
        if "--large" in OPTIONS:
            generate(pathlib.Path(work) / "large", "large", "--days", "1", "--rows-per-day", "5000000", "--shops", "20000")
            timed("run of one day of 5 million rows", "backfill --from 2026-03-01 --to 2026-03-01", "fourth", "large")
        if "--long" in OPTIONS:
            generate(pathlib.Path(work) / "long", "long", "--days", "184", "--first-day", "2025-09-01")
            timed("backfill of 184 generated days", "backfill --from 2025-09-01 --to 2026-03-03", "fifth", "long")
            timed("run after them, up to date", "run --day 2026-03-03", "fifth", "long")
        for real in [option.removeprefix("--real=") for option in OPTIONS if option.startswith("--real=")]:
            upload(pathlib.Path(real), "real")
            six_months = "backfill --from 2017-05-31 --to 2017-11-30"
            timed("backfill of 184 days of the real year", six_months, "sixth", "real", "tests/real/job.toml")
            timed("and with --parallel 2", f"{six_months} --parallel 2", "seventh", "real", "tests/real/job.toml")
        proxy.shutdown()
    finally:
        weed.kill()
