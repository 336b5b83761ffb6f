"""A rollout as a DAG of Airflow: takes a model version and a strategy, and ends green only when the version was promoted.

It runs the program `headgate` and nothing else, so it works on any worker that has it. What it needs stands in environment
variables of the worker:

  HEADGATE            the program, default `headgate`
  HEADGATE_TARGET     the target file: which proxies, published how
  HEADGATE_ROUTE      the route of its plugin configuration, default `model`
  HEADGATE_ROLLOUTS   the folder for rollout files and reports, default `/var/lib/headgate/rollouts`
  HEADGATE_STATE      where `headgate` keeps its state, default its own (`headgate run --help`)

A rollout file that is already there (`model-<version>.yaml`) is taken as it is: write your own criteria into it. Otherwise the
starter of the strategy is written.

`headgate run` can be killed and started again at any moment and goes on where it was, so a lost worker is simply retried.
A decision is not: a version that was rolled back stays rolled back until somebody looks.
"""

from __future__ import annotations

import os
import re
import subprocess
from datetime import timedelta
from pathlib import Path

from airflow.decorators import dag, task
from airflow.exceptions import AirflowFailException
from airflow.models.param import Param

#: How `headgate run` ends when it did its work and the version was not promoted.
DECIDED = {2: "the rollout file is refused", 10: "rolled back", 11: "held: somebody has to decide", 12: "aborted"}
STRATEGIES = ["canary", "blue-green", "shadow"]


def headgate(*arguments: str) -> int:
    """Runs `headgate`, its output into the task's log, and returns its exit code. No shell: nothing is interpreted."""
    command = [os.environ.get("HEADGATE", "headgate"), *arguments]
    print("$", " ".join(command), flush=True)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or []:
            print(line, end="", flush=True)
        return process.wait()


def state() -> list[str]:
    """`--state DIR`, where it is set."""
    folder = os.environ.get("HEADGATE_STATE")
    return ["--state", folder] if folder else []


def rollout_name(model_version: str) -> str:
    """The rollout's name, which is a file's name too."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}", model_version):
        raise AirflowFailException(f"model_version {model_version!r}: letters, digits, `_`, `.` and `-` alone")
    return f"model-{model_version}"


@dag(
    dag_id="headgate_rollout",
    schedule=None,
    catchup=False,
    # Two rollouts of one target are refused by `headgate` itself; this keeps the second one waiting instead.
    max_active_runs=1,
    tags=["headgate", "release"],
    params={
        "model_version": Param(type="string", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,80}$", description="e.g. 2.3.1"),
        "strategy": Param("canary", type="string", enum=STRATEGIES),
    },
    doc_md=__doc__,
)
def headgate_rollout():
    """Write the file, check it, run it, report it."""

    @task
    def write(params: dict | None = None) -> str:
        """The rollout file: the one that is there, or the strategy's starter."""
        name = rollout_name(params["model_version"])
        folder = Path(os.environ.get("HEADGATE_ROLLOUTS", "/var/lib/headgate/rollouts"))
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.yaml"
        if not file.exists():
            target = os.environ["HEADGATE_TARGET"]
            route = os.environ.get("HEADGATE_ROUTE", "model")
            names = ["--name", name, "--target", target, "--route", route]
            if headgate("init", "--strategy", params["strategy"], *names, str(file)) != 0:
                raise AirflowFailException("the rollout file could not be written")
        return str(file)

    @task
    def validate(file: str) -> str:
        """Everything that is wrong with the file, before anything is touched."""
        if headgate("validate", file) != 0:
            raise AirflowFailException(f"{file} is refused: its problems are listed above")
        return file

    @task(retries=20, retry_delay=timedelta(seconds=15))
    def run(file: str) -> None:
        """The rollout itself, for as long as it takes."""
        code = headgate("run", file, *state())
        if code in DECIDED:
            raise AirflowFailException(f"not promoted: {DECIDED[code]}")
        if code != 0:
            raise RuntimeError(f"`headgate run` ended with {code}; it goes on where it was at the next try")

    @task(trigger_rule="all_done")
    def report(params: dict | None = None) -> str:
        """The HTML report, whatever came of it."""
        name = rollout_name(params["model_version"])
        folder = Path(os.environ.get("HEADGATE_ROLLOUTS", "/var/lib/headgate/rollouts"))
        page = folder / f"{name}.html"
        if headgate("report", name, "--output", str(page), *state()) != 0:
            raise RuntimeError("there is no report: did the rollout begin?")
        return str(page)

    checked = validate(write())
    ran = run(checked)
    told = report()
    ran >> told
    # The last task alone decides how a DAG run is marked: without this a rollback would look green.
    verdict = passed()
    [ran, told] >> verdict


@task(trigger_rule="all_success")
def passed() -> None:
    """Green when the version was promoted."""
    print("promoted")


headgate_rollout()
