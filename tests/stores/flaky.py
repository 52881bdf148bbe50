"""A proxy before an S3 server that answers some requests with 503: by turns before the server has seen them, and after it
did the work. Arguments: the port to listen on, the server's port, and how many requests there are to one bad answer."""
import http.client, http.server, itertools, sys

LISTEN, SERVER, EVERY = map(int, sys.argv[1:4])
NUMBERS = itertools.count(1)
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        number = next(NUMBERS)
        is_bad, after_effect = number % EVERY == 0, number // EVERY % 2 == 0
        if is_bad and not after_effect:
            return self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
        server = http.client.HTTPConnection("127.0.0.1", SERVER, timeout=30)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            server.putheader(name, value)
        server.endheaders(body)
        response = server.getresponse()
        content = response.read()
        server.close()
        if is_bad:
            return self.answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
        self.answer(response.status, response.getheaders(), content)

    def answer(self, status, headers, content):
        self.send_response_only(status)
        length = len(content)
        for name, value in headers:
            if self.command == "HEAD" and name.lower() == "content-length":
                length = value
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward


http.server.ThreadingHTTPServer(("127.0.0.1", LISTEN), Proxy).serve_forever()
