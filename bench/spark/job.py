"""Sorts rows by a random key, as TeraSort does, and writes them nowhere: a shuffle and little else.

Waits for its executors, tells the bench before and after the sort (a file each, answered by
another), so that only the sort is timed; after that, how many bytes of shuffle files it has written.

    spark-submit bench/spark/job.py ROWS EXECUTORS FOLDER
"""

import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

rows, executors, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def mark(name, text=""):
    with open(os.path.join(folder, name + ".new"), "w") as file:
        file.write(text)
    os.rename(os.path.join(folder, name + ".new"), os.path.join(folder, name))
    while not os.path.exists(os.path.join(folder, name + ".seen")):
        time.sleep(0.01)


def sort(count):
    # 8 bytes of key and 128 of payload make a row of about 156 bytes on the wire.
    spark.range(count).select(
        F.xxhash64("id").alias("key"), F.rpad(F.hex("id"), 128, "x").alias("payload")
    ).sort("key").write.format("noop").mode("overwrite").save()


def shuffle_written():
    """Bytes, of all executors. What counts them hears of a task a moment after its end."""
    store, before = spark.sparkContext._jsc.sc().statusStore(), -1
    while True:
        executors = store.executorList(False)
        now = sum(executors.apply(n).totalShuffleWrite() for n in range(executors.size()))
        if now == before:
            return now
        before = now
        time.sleep(0.5)


spark = SparkSession.builder.appName("bench: shuffle").getOrCreate()
status = spark.sparkContext._jsc.sc().statusTracker()
while len(status.getExecutorInfos()) < executors + 1:  # one of them is the driver
    time.sleep(0.1)
sort(rows // 20)  # connections, classes and code are warm
written = shuffle_written()
mark("start")
began = time.monotonic()
sort(rows)
seconds = time.monotonic() - began
mark("end", str(seconds))
mark("shuffled", str(shuffle_written() - written))
spark.stop()
