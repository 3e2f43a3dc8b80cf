"""Opens many hub connections through the proxy, sends one message, and counts how many of them bring it: sockets.py ORIGIN CERTIFICATE COUNT"""
import asyncio
import base64
import json
import os
import resource
import ssl
import struct
import sys
import time
import urllib.request
import uuid

origin, certificate, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
host, port = origin.removeprefix("https://").split(":")
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
tls = ssl.create_default_context(cafile=certificate)


def post(path, body, token=None):
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(origin + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, context=tls) as response:
        return json.load(response)


token = post("/v1/auth/sign-up", {"username": "crowd", "email": "crowd@example.org", "password": "a long enough password"})["accessToken"]
room = post("/v1/rooms", {"kind": "group", "members": []}, token)["id"]
message = str(uuid.uuid4())
upgrade = (f"GET /hubs/chat HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n").encode()


def frame(text):
    """A text frame, masked with zeros."""
    payload = text.encode()
    return struct.pack("!BB", 0x81, 0x80 | len(payload)) + bytes(4) + payload


async def connect(gate):
    async with gate:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls, limit=1 << 14)
        writer.write(upgrade)
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.split(b"\r\n")[0].decode())
        writer.write(frame('{"protocol":"json","version":1}\x1e'))
        await reader.readuntil(b"{}\x1e")
        return reader, writer


async def hears(reader):
    while message not in (await reader.readuntil(b"\x1e")).decode(errors="replace"):
        pass


async def keep_alive(connections):
    while True:
        await asyncio.sleep(10)
        for _, writer in connections:
            writer.write(frame('{"type":6}\x1e'))


async def main():
    gate, connections, started = asyncio.Semaphore(64), [], time.monotonic()
    beating = asyncio.create_task(keep_alive(connections))

    async def add():
        connections.append(await asyncio.wait_for(connect(gate), 100))
    results = await asyncio.gather(*(add() for _ in range(count)), return_exceptions=True)
    refused = [repr(result) for result in results if result]
    opened = time.monotonic() - started
    listening = [asyncio.create_task(hears(reader)) for reader, _ in connections]
    await asyncio.to_thread(post, f"/v1/rooms/{room}/messages", {"roomId": room, "clientMessageId": message, "ciphertext": "AQID"}, token)
    done, _ = await asyncio.wait(listening, timeout=60)
    received = sum(1 for task in done if not task.exception())
    beating.cancel()
    print(f"{len(connections)} of {count} opened in {opened:.0f} s, {received} received; refused: {refused[:3]}", flush=True)
    os._exit(0 if received == count else 1)  # not by closing each

asyncio.run(main())
