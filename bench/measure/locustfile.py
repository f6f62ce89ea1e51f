"""People-like load on a feature server: many users, each with a pause between its requests.

`locust -f bench/measure/locustfile.py --host http://127.0.0.1:8080` shows locust's own page;
`python -m bench.suites.users` runs it without one, against a server that it starts. The number of
users climbs from 100 to 1,000 and back. Variables of the environment say what the users ask for:

BENCH_JOIN_KEY, BENCH_SERVICE   the join key (integer ids) and the service
BENCH_POPULATION                how many ids there are
BENCH_SECONDS                   for how long the climb and the descent take together
"""

from __future__ import annotations

import os
import random
import time

from locust import FastHttpUser, LoadTestShape, between, task

JOIN_KEY = os.environ.get("BENCH_JOIN_KEY", "user10_id")
SERVICE = os.environ.get("BENCH_SERVICE", "hash10")
POPULATION = int(os.environ.get("BENCH_POPULATION", "2000"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "45"))
FEWEST, MOST = 100, 1000
# One request in this many is for ten users at once.
BATCH_SHARE = 10


class Model(FastHttpUser):
    """A caller that asks for features about once a second, not in step with other callers."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        # Locust starts many users at once, so without a pause they would all ask at once.
        time.sleep(random.random())

    @task(BATCH_SHARE - 1)
    def one(self) -> None:
        user = random.randrange(POPULATION)
        path = f"/v1/features?service={SERVICE}&{JOIN_KEY}={user}"
        with self.client.get(path, name="one", catch_response=True) as response:
            if response.status_code != 200 or b'"statuses"' in response.content:
                response.failure(f"{response.status_code}: {response.text[:200]}")

    @task(1)
    def many(self) -> None:
        users = random.sample(range(POPULATION), 10)
        body = {"service": SERVICE, "entities": {JOIN_KEY: users}}
        path = "/v1/features"
        with self.client.post(path, json=body, name="many", catch_response=True) as response:
            if response.status_code != 200 or b'"statuses"' in response.content:
                response.failure(f"{response.status_code}: {response.text[:200]}")


class UpAndDown(LoadTestShape):
    """100 users to 1,000 and back, evenly."""

    def tick(self) -> tuple[int, float] | None:
        share = self.get_run_time() / SECONDS
        if share >= 1:
            return None
        climbed = 1 - abs(2 * share - 1)
        return FEWEST + round((MOST - FEWEST) * climbed), float(FEWEST)
