"""A real mail server, aiosmtpd: STARTTLS and a login are required (by password, or XOAUTH2 with TOKEN), the mailbox `bounce` does not exist, `full` is full, `grey` is put off
for a second, and a letter may have three recipients.

Reads CERTIFICATE, KEY, PASSWORD and TOKEN from its environment. Prints its ports (STARTTLS, TLS from the first byte, neither), and then every
letter as a line of JSON, as Python's own parser reads it.
"""

import asyncio
import base64
import email
import email.policy
import email.utils
import json
import os
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(value):
    print(json.dumps(value), flush=True)


MOST = 3
SEEN = {}


class Handler:
    async def auth_XOAUTH2(self, server, arguments):
        """As Google does it: a token that is not taken gets a challenge with the reason, and its answer is empty."""
        right = f"user=mayday\x01auth=Bearer {os.environ['TOKEN']}\x01\x01"
        if base64.b64decode(arguments[1]).decode() == right:
            return AuthResult(success=True)
        await server.challenge_auth('{"status":"401","schemes":"bearer"}')
        return AuthResult(success=False, handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("bounce@"):
            return f"550 5.1.1 <{address}>: no such mailbox"
        if address.startswith("full@"):
            return "452 4.2.2 the mailbox is full"
        if address.startswith("grey@") and time.monotonic() - SEEN.setdefault(address, time.monotonic()) < 1:
            return f"451 4.7.1 <{address}>: Greylisted, try again in 1 second"
        if len(envelope.rcpt_tos) >= MOST:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        if "refuse" in letter["Subject"]:
            return "554 5.7.1 not such words"
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "peer": session.peer[1],
            "defects": [repr(defect) for part in letter.walk() for defect in part.defects],
            "date": email.utils.parsedate_to_datetime(letter["Date"]).isoformat(),
            "headers": {name.lower(): str(value) for name, value in letter.items()},
            "body": letter.get_content().replace("\r\n", "\n"),
        })
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"mayday", os.environ["PASSWORD"].encode())
    # "Handled" would mean that this function has answered the client.
    return AuthResult(success=right, handled=False)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    return made


async def main():
    login = {"authenticator": authenticate, "auth_required": True}
    kinds = [
        (None, {"tls_context": context(), "require_starttls": True, **login}),
        (context(), {"auth_require_tls": False, **login}),
        (None, {}),
    ]
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda more=more: SMTP(Handler(), loop=loop, **more), "127.0.0.1", 0, ssl=tls)
        for tls, more in kinds
    ]
    say({"ports": [server.sockets[0].getsockname()[1] for server in servers]})
    # The test ends it by closing its input.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
