"""Shuffles again and again, so that something can happen in the middle of one.

    spark-submit … rounds.py RESULT_FILE ROUNDS ROWS
"""

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

result_file, rounds, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
spark = SparkSession.builder.appName("rounds").getOrCreate()
answers = []
for number in range(rounds):
    print(f"round {number}", flush=True)
    data = spark.range(0, rows, 1, 8).select(
        ((F.col("id") * 7919 + number) % 1000).alias("key"),
        "id",
        F.sha2((F.col("id") + number).cast("string"), 512).alias("filling"),
    )
    # All rows travel, then are counted: 150 bytes a row, a quarter to half of them to another executor.
    moved = data.repartition(8, "key").groupBy("key").agg(F.sum("id").alias("sum"), F.max("filling").alias("filling"))
    row = moved.agg(F.count("*").alias("keys"), F.sum("sum").alias("sum"), F.max("filling").alias("filling")).collect()[0]
    answers.append([row["keys"], row["sum"], row["filling"]])
with open(result_file, "w") as file:
    json.dump(answers, file)
spark.stop()
