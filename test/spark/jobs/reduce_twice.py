"""Reduces the output of one map stage twice; between the two, an executor that holds part of it may die.

    spark-submit … reduce_twice.py RESULT_FILE FOLDER

Waits for FOLDER/go-on after the first time.
"""

import json
import os
import sys
import time

from pyspark.sql import SparkSession

result_file, folder = sys.argv[1], sys.argv[2]
sc = SparkSession.builder.appName("reduce twice").getOrCreate().sparkContext
pairs = sc.parallelize(range(100_000), 8).map(lambda n: (n % 50, n)).reduceByKey(lambda a, b: a + b, 8)
first = dict(pairs.collect())
print("reduced once", flush=True)
deadline = time.monotonic() + 120
while not os.path.exists(os.path.join(folder, "go-on")) and time.monotonic() < deadline:
    time.sleep(0.05)
began = time.monotonic()
second = dict(pairs.mapValues(lambda n: n).collect())  # the same shuffle, fetched again
with open(result_file, "w") as file:
    json.dump({"same": first == second, "sum": sum(second.values()), "seconds": time.monotonic() - began}, file)
sc.stop()
