"""A shuffle of rows and one of Python pairs, with answers that have a closed form.

    spark-submit … sums.py RESULT_FILE [FOLDER]

With FOLDER it prints "summed", and keeps its session open until FOLDER/go-on exists.
"""

import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

spark = SparkSession.builder.appName("sums").getOrCreate()
sc = spark.sparkContext
rows = (
    spark.range(0, 200_000, 1, 8)
    .select((F.col("id") % 100).alias("key"), "id")
    .repartition(8, "key")
    .groupBy("key")
    .agg(F.sum("id").alias("sum"))
)
row = rows.agg(F.count("*").alias("keys"), F.sum("sum").alias("sum")).collect()[0]
pairs = sc.parallelize(range(10_000), 4).map(lambda n: (n % 10, n)).reduceByKey(lambda a, b: a + b, 4).collect()
found = {"keys": row["keys"], "sum": row["sum"], "pairs": sorted(pairs), "app": sc.applicationId, "ui": sc.uiWebUrl}
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(found, file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
if len(sys.argv) > 2:
    print("summed", flush=True)
    deadline = time.monotonic() + 300
    while not os.path.exists(os.path.join(sys.argv[2], "go-on")) and time.monotonic() < deadline:
        time.sleep(0.1)
spark.stop()
