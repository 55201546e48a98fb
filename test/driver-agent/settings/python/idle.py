"""Shuffles, caches, and then leaves its session open without work.

    spark-submit … idle.py RESULT_FILE FOLDER

The same query is run twice: between its runs its shuffle files may have been cleaned up.
"""
import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

result_file, folder = sys.argv[1], sys.argv[2]
spark = SparkSession.builder.appName("idle").getOrCreate()

cached = spark.range(0, 100_000, 1, 6).cache()
cached_rows = cached.count()
query = cached.groupBy((F.col("id") % 100).alias("key")).agg(F.sum("id").alias("sum")).orderBy("key")
first = [list(row) for row in query.collect()]
again = [list(row) for row in query.collect()]
rdd = spark.sparkContext.parallelize(range(1000), 6).map(lambda n: (n % 10, n)).reduceByKey(lambda a, b: a + b)
sums = sorted(rdd.collect())
with open(result_file + ".part", "w") as file:
    json.dump({"rows": cached_rows, "same": first == again, "sum": sum(row[1] for row in first), "rdd": sums}, file)
os.rename(result_file + ".part", result_file)
print("idle: waiting", flush=True)
# `cached`, `query` and `rdd` are still held: nothing lets Spark forget their blocks.
deadline = time.monotonic() + 300
while not os.path.exists(os.path.join(folder, "go-on")) and time.monotonic() < deadline:
    time.sleep(0.1)
spark.stop()
