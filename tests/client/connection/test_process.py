"""Forks and Ctrl-C, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

from tests.client.driver import PATIENCE, Driver
from tests.client.oracle import fill
from tests.client.proxy import FaultProxy

# One program for both drivers; the parts that differ are filled in.
_BLOCKING = """
import os, sys
import fscore
from fscore import ForkedProcess
client = fscore.connect(sys.argv[1], registry_poll=3600)
prepared = client.prepare(features=["orders"])
def get(customer): return prepared.get([customer], timeout=60).to_dicts()[0]["orders"]
def write(customer): client.write("customer", [{"customer_id": customer, "orders": 1}])
def delete(customer): client.delete("customer", [customer])
def ping(customer): client.execute("PING")
def connect_again():
    with fscore.connect(sys.argv[1]) as own:
        return own.prepare(features=["orders"]).get([2]).to_dicts()[0]["orders"]
def forked(): pass
"""
_ASYNCIO = """
import asyncio, os, sys
import uvloop
import fscore.aio
from fscore import ForkedProcess
runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
run = runner.run
async def connect(): return await fscore.aio.connect(sys.argv[1], registry_poll=3600)
client = run(connect())
prepared = run(client.prepare(features=["orders"]))
def get(customer): return run(prepared.get([customer], timeout=60)).to_dicts()[0]["orders"]
def write(customer): run(client.write("customer", [{"customer_id": customer, "orders": 1}]))
def delete(customer): run(client.delete("customer", [customer]))
def ping(customer): run(client.execute("PING"))
def connect_again():
    async def read():
        async with fscore.aio.connect(sys.argv[1]) as own:
            return (await (await own.prepare(features=["orders"])).get([2])).to_dicts()[0]["orders"]
    return run(read())
def forked():
    # A loop, too, is its process's own: in the child it would take the parent's events.
    global run
    run = asyncio.Runner(loop_factory=uvloop.new_event_loop).run
"""
_FORK = """
assert get(1) == 1000001
child = os.fork()
if child == 0:
    forked()
    caught = 0
    for call in (get, write, delete, ping):
        try:
            call(1)
        except ForkedProcess as error:
            assert "connect again" in str(error)
            caught += 1
    assert connect_again() == 1000002
    os._exit(40 + caught)
assert get(2) == 1000002
_, status = os.waitpid(child, 0)
for customer in range(3, 20):
    assert get(customer) == 1000000 + customer
sys.exit(os.waitstatus_to_exitcode(status))
"""
_INTERRUPT = """
assert get(1) == 1000001
print("ready", flush=True)
sys.stdin.readline()
try:
    get(2)
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
# The reply to the call that was given up is nobody else's.
assert get(3) == 1000003
"""
PROGRAMS = {"blocking": _BLOCKING, "asyncio": _ASYNCIO}


def start(driver: Driver, program: str, url: str) -> subprocess.Popen[str]:
    """Start a process that runs this program with a client of this driver."""
    text = PROGRAMS[driver.name] + program
    return subprocess.Popen(
        [
            sys.executable,
            *("-W", "error", "-W", "ignore:This process:DeprecationWarning"),
            *("-c", text, url),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


def ended(process: subprocess.Popen[str]) -> int:
    """Wait for the end and return the exit code; print stderr for the case that a test fails."""
    try:
        _, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    print(errors)
    return process.returncode


def test_a_forked_child_gets_an_error_and_the_parent_goes_on(
    driver: Driver, redis_url: str, client: Any
) -> None:
    fill(client, 20)
    assert ended(start(driver, _FORK, redis_url)) == 44


def test_ctrl_c_ends_a_read(driver: Driver, proxy: FaultProxy, client: Any) -> None:
    fill(client, 20)
    process = start(driver, _INTERRUPT, proxy.url)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        proxy.hold()
        before = proxy.requests
        process.stdin.write("\n")
        process.stdin.flush()
        proxy.wait_for_request(before)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        proxy.release()
        process.stdin.write("\n")
        process.stdin.flush()
        assert ended(process) == 0
    finally:
        process.kill()
        process.wait()


def test_a_client_that_is_never_closed_lets_the_process_end(
    driver: Driver, redis_url: str, client: Any
) -> None:
    fill(client, 5)
    assert ended(start(driver, "assert get(1) == 1000001", redis_url)) == 0
