"""Every kind of traffic that Spark has, in one application. Each part writes what it found into
RESULT_FILE; test/spark/all-traffic.spark.test.ts knows the right answers and compares.

    spark-submit … all_traffic.py RESULT_FILE COLLECT_MIB
"""

import hashlib
import json
import os
import random
import sys
import time

from pyspark import SparkFiles, TaskContext
from pyspark.resource import ExecutorResourceRequests, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

result_file, collect_mib = sys.argv[1], int(sys.argv[2])
found = {"seconds": {}}

spark = SparkSession.builder.appName("all traffic").getOrCreate()
sc = spark.sparkContext


def part(name):
    def run(work):
        began = time.monotonic()
        sc.setJobDescription(name)
        found[name] = work()
        found["seconds"][name] = round(time.monotonic() - began, 2)
        print(f"part {name}: {found['seconds'][name]} s", flush=True)
        with open(result_file, "w") as file:
            json.dump(found, file)

    return run


@part("files")
def _():
    """--archives, --py-files, executorEnv, pod template: as tasks see them. Fetched at an executor's first task."""

    def look(_):
        from packaged.answer import answer  # out of --py-files

        with open("data/blob", "rb") as blob:
            digest = hashlib.sha256()
            while chunk := blob.read(1 << 20):
                digest.update(chunk)
        time.sleep(0.5)
        yield {
            "executor": SparkFiles.getRootDirectory(),
            "answer": answer(),
            "archive": digest.hexdigest(),
            "executorEnv": os.environ.get("FROM_CONF"),
            "podTemplate": os.environ.get("FROM_TEMPLATE"),
            "workingDirectory": os.getcwd(),
        }

    seen = sc.parallelize(range(4), 4).mapPartitions(look).collect()
    return seen


@part("shuffle")
def _():
    """Sum and count a key; the answer has a closed form."""
    rows = (
        spark.range(0, 400_000, 1, 8)
        .select((F.col("id") % 1000).alias("key"), F.col("id"), F.sha2(F.col("id").cast("string"), 256).alias("hash"))
        .repartition(8, "key")
        .groupBy("key")
        .agg(F.count("*").alias("count"), F.sum("id").alias("sum"), F.max("hash").alias("hash"))
        .orderBy("key")
        .collect()
    )
    return {
        "keys": len(rows),
        "count": sum(row["count"] for row in rows),
        "first": [rows[0]["key"], rows[0]["count"], rows[0]["sum"]],
        "last": [rows[-1]["key"], rows[-1]["count"], rows[-1]["sum"]],
        "hash": max(row["hash"] for row in rows),
    }


@part("broadcast")
def _():
    """20 MiB that no codec shrinks: five pieces of 4 MiB, passed on from executor to executor."""
    content = random.Random(7).randbytes(20 * 1024 * 1024)
    shared = sc.broadcast(content)

    def look(_):
        time.sleep(0.5)  # long enough that no executor takes all of them
        yield hashlib.sha256(shared.value).hexdigest()

    digests = sc.parallelize(range(4), 4).mapPartitions(look).collect()
    return {"sent": hashlib.sha256(content).hexdigest(), "received": sorted(set(digests)), "tasks": len(digests)}


@part("cache")
def _():
    """Eight cached partitions on several executors, all read by one task."""
    computed = sc.accumulator(0)

    def make(index, _):
        computed.add(1)
        time.sleep(0.3)  # long enough that no executor takes all of them
        yield random.Random(index).randbytes(2 * 1024 * 1024)

    blocks = sc.parallelize(range(8), 8).mapPartitionsWithIndex(make).persist()
    blocks.count()

    def digest(parts):
        yield TaskContext.get().partitionId(), [hashlib.sha256(part).hexdigest() for part in parts]

    read = blocks.coalesce(1).mapPartitions(digest).collect()
    right = [hashlib.sha256(random.Random(index).randbytes(2 * 1024 * 1024)).hexdigest() for index in range(8)]
    return {
        "rdd": blocks.id(),
        "computed": computed.value,
        "tasks": len(read),
        "digests": sorted(read[0][1]),
        "right": sorted(right),
    }


@part("collect")
def _():
    """Task results of many MiB: the driver fetches each from the executor's block manager."""
    rows = sc.parallelize(range(collect_mib * 4), 4).map(lambda i: (i, random.Random(i).randbytes(256 * 1024))).collect()
    digest = hashlib.sha256()
    for _, content in sorted(rows):
        digest.update(content)
    expected = hashlib.sha256()
    for i in range(collect_mib * 4):
        expected.update(random.Random(i).randbytes(256 * 1024))
    return {"bytes": sum(len(content) for _, content in rows), "right": digest.digest() == expected.digest()}


def collatz_steps(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@part("functions")
def _():
    """Python and Java functions of the user, the Java one out of --jars."""
    collatz = F.udf(lambda n: collatz_steps(n), LongType())
    spark.udf.registerJavaFunction("times_seven", "com.example.TimesSeven", LongType())
    row = (
        spark.range(1, 2001, 1, 4)
        .select(collatz("id").alias("steps"), F.expr("times_seven(id)").alias("seven"))
        .agg(F.sum("steps").alias("steps"), F.sum("seven").alias("seven"))
        .collect()[0]
    )
    return {"steps": row["steps"], "seven": row["seven"]}


@part("adaptive")
def _():
    """A join that adaptive execution changes while it runs: few rows are left, so it becomes a broadcast."""
    big = spark.range(0, 300_000, 1, 4).select((F.col("id") % 5000).alias("key"), "id")
    small = spark.range(0, 200_000, 1, 4).select(F.col("id").alias("key"), (F.col("id") * 3).alias("value"))
    joined = big.join(small.where("value % 2999 = 0 and value > 0"), "key")
    row = joined.agg(F.count("*").alias("rows"), F.sum("value").alias("sum")).collect()[0]
    return {"rows": row["rows"], "sum": row["sum"], "enabled": spark.conf.get("spark.sql.adaptive.enabled")}


@part("speculation")
def _():
    """The first attempt of one task hangs; a speculative copy elsewhere ends it."""

    def work(index, _):
        if index == 5 and TaskContext.get().attemptNumber() == 0:
            time.sleep(60)
        yield index

    began = time.monotonic()
    answer = sorted(sc.parallelize(range(8), 8).mapPartitionsWithIndex(work).collect())
    return {"answer": answer, "took": time.monotonic() - began}


@part("profiles")
def _():
    """A stage that asks for executors of another size."""
    executor = ExecutorResourceRequests().memory("700m").memoryOverhead("800m").cores(1)
    task = TaskResourceRequests().cpus(1)
    profile = ResourceProfileBuilder().require(executor).require(task).build
    total = sc.parallelize(range(1000), 2).withResources(profile).map(lambda n: n * n).sum()
    return {"total": total, "profile": profile.id}


@part("settings")
def _():
    names = [
        "spark.authenticate",
        "spark.network.crypto.enabled",
        "spark.driver.host",
        "spark.app.id",
        "spark.test.userConf",
    ]
    return {name: sc.getConf().get(name) for name in names}


spark.stop()
