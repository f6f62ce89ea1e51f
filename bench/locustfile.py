"""People-like load on a feature server: many users, each with a pause between its requests.

`locust -f bench/locustfile.py --host http://127.0.0.1:8080` for locust's own page; `python -m
bench.users` runs it without one, against a server that it starts. The number of users climbs from
100 to 1,000 and back. What is asked comes from the environment:

BENCH_JOIN_KEY, BENCH_SERVICE   the join key (integer ids) and the service
BENCH_POPULATION                how many ids there are
BENCH_STEP_SECONDS              for how long each number of users stays
"""

from __future__ import annotations

import os
import random

from locust import FastHttpUser, LoadTestShape, constant_throughput, task

JOIN_KEY = os.environ.get("BENCH_JOIN_KEY", "user10_id")
SERVICE = os.environ.get("BENCH_SERVICE", "hash10")
POPULATION = int(os.environ.get("BENCH_POPULATION", "2000"))
STEP_SECONDS = float(os.environ.get("BENCH_STEP_SECONDS", "5"))
STEPS = (100, 250, 500, 750, 1000, 750, 500, 250, 100)
# One in so many requests is for ten users at once.
BATCH_SHARE = 10


class Model(FastHttpUser):
    """A caller that wants the features of one user now and then, once a second."""

    wait_time = constant_throughput(1)

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
    """100 users to 1,000 and back, in steps."""

    def tick(self) -> tuple[int, float] | None:
        step = int(self.get_run_time() / STEP_SECONDS)
        return (STEPS[step], 500.0) if step < len(STEPS) else None
