"""A second implementation of an endpoint, written from relay/PROTOCOL.md alone, as a program.

    KEY=NAME:BASE64URL python3 main.py RELAY APP ADDRESS echo
    KEY=NAME:BASE64URL python3 main.py RELAY APP ADDRESS ask TO PORT MIB CUTS

`echo` says back what comes, on any port, until its stdin ends; a line `cut` there cuts its link. `ask` sends MIB
MiB, cuts its own link CUTS times on the way, and prints as JSON what came back. second.slow.test.ts runs both.
"""

import asyncio
import base64
import hashlib
import json
import os
import random
import sys

from endpoint import Endpoint
from wire import token

MIB = 1024 * 1024


async def say_back(stream):
    try:
        while data := await stream.read():
            await stream.write(data)
        stream.end()
    except ConnectionResetError:
        pass


async def echo(endpoint):
    print("attached", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "cut":
            endpoint.cut()


async def ask(endpoint, to, port, mib, cuts):
    stream = await endpoint.open(to, port)
    sent, came, size = hashlib.sha256(), hashlib.sha256(), 0

    async def send():
        for number in range(mib):
            piece = random.Random(number).randbytes(MIB)
            sent.update(piece)
            await stream.write(piece)
        stream.end()

    sending = asyncio.ensure_future(send())
    next_cut = 1
    reset = None
    try:
        while data := await stream.read():
            came.update(data)
            size += len(data)
            if next_cut <= cuts and size >= next_cut * mib * MIB // (cuts + 1):
                next_cut += 1
                endpoint.cut()
        await sending
        reset = await stream.over
    except ConnectionResetError as error:
        sending.cancel()
        reset = str(error)
    is_same = reset is None and sent.digest() == came.digest()
    print(json.dumps({"bytes": size, "same": is_same, "reset": reset, "resumes": endpoint.resumes}), flush=True)


async def main():
    relay, app, address, deed, *rest = sys.argv[1:]
    name, secret = os.environ["KEY"].split(":")
    proof = token(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4)), name, app, address)
    endpoint = Endpoint(relay, address, proof, say_back if deed == "echo" else None)
    await endpoint.start()
    if deed == "echo":
        await echo(endpoint)
    else:
        await ask(endpoint, rest[0], *map(int, rest[1:]))
    await endpoint.close()


asyncio.run(main())
