"""A mail server for tests, on 127.0.0.1. It reads settings.json {"user", "password"}, certificate.pem and key.pem in
its folder, and writes ready.json {way: port} once it listens.

Ways: "starttls" offers STARTTLS, AUTH only after it and mail only after AUTH; "login" is the same with AUTH LOGIN
alone; "tls" is TLS from the first byte, with AUTH; "plain" has neither TLS nor AUTH. At "inbox" GET gives the mails
so far as JSON and DELETE forgets them.

Recipients steer it: bounce@ 550, later@ 451, slow@ waits 5 s, and after the whole message full@ 552 and busy@ 452. A
message over 100 kB is too large, as it announces.
"""
import asyncio, email, email.policy, json, os, ssl, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

with open("settings.json") as file:
    settings = json.load(file)
inbox = []


class Handler:
    def __init__(self, way):
        self.way = way

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bounce@"):
            return "550 5.1.1 no such user"
        if address.startswith("later@"):
            return "451 4.7.1 try again later"
        if address.startswith("slow@"):
            await asyncio.sleep(5)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        starts = [address.split("@")[0] for address in envelope.rcpt_tos]
        if "full" in starts:
            return "552 5.2.2 mailbox full"
        if "busy" in starts:
            return "452 4.3.1 no room now"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        part = lambda kind: message.get_body((kind,))
        files = message.iter_attachments() if message.is_multipart() else []
        inbox.append({
            "way": self.way,
            "tls": session.ssl is not None or self.way == "tls",
            "user": getattr(session.auth_data, "login", b"").decode(),
            "hello": session.host_name,
            "mail_from": envelope.mail_from,
            "mail_options": envelope.mail_options,
            "rcpt_tos": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "text": part("plain").get_content() if part("plain") else None,
            "html": part("html").get_content() if part("html") else None,
            "attachments": [
                {"name": file.get_filename(), "type": file.get_content_type(), "hex": file.get_payload(decode=True).hex()}
                for file in files
            ],
            "raw": envelope.content.decode("utf-8", "replace"),
        })
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, given):
    right = (settings["user"].encode(), settings["password"].encode())
    ok = isinstance(given, LoginPassword) and (given.login, given.password) == right
    # Not handled here: then the server itself answers 535.
    return AuthResult(success=ok, handled=False, auth_data=given if ok else None)


class Inbox(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps(inbox).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_DELETE(self):
        inbox.clear()
        self.do_GET()


async def main():
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain("certificate.pem", "key.pem")
    common = {"hostname": "mail.localhost", "data_size_limit": 100_000, "enable_SMTPUTF8": True}
    signed_in = common | {"auth_required": True, "authenticator": authenticate}
    upgraded = signed_in | {"tls_context": tls, "require_starttls": True, "auth_require_tls": True}
    ways = {
        "starttls": (upgraded, None),
        "login": (upgraded | {"auth_exclude_mechanism": ["PLAIN"]}, None),
        "tls": (signed_in | {"auth_require_tls": False}, tls),
        "plain": (common, None),
    }
    ports = {}
    loop = asyncio.get_running_loop()
    for way, (options, context) in ways.items():
        factory = lambda way=way, options=options: SMTP(Handler(way), **options)
        server = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
        ports[way] = server.sockets[0].getsockname()[1]
    http = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    ports["inbox"] = http.server_address[1]
    with open("ready.part", "w") as file:
        json.dump(ports, file)
    os.rename("ready.part", "ready.json")
    await asyncio.Event().wait()


asyncio.run(main())
