"""Shuffles round after round until FOLDER/enough is there, so that faults can come in their own time.

    spark-submit … rounds_until.py RESULT_FILE FOLDER ROWS PARTITIONS
"""

import json
import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

result_file, folder, rows, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
spark = SparkSession.builder.appName("rounds until").getOrCreate()
answers = []
while not os.path.exists(os.path.join(folder, "enough")):
    number = len(answers)
    print(f"round {number} begins", flush=True)
    data = spark.range(0, rows, 1, partitions).select(
        ((F.col("id") * 7919 + number) % 1000).alias("key"),
        "id",
        F.sha2((F.col("id") + number).cast("string"), 512).alias("filling"),
    )
    # All rows travel, then are counted: 150 bytes a row, most of them to another executor.
    moved = data.repartition(partitions, "key").groupBy("key").agg(F.count("*").alias("rows"), F.sum("id").alias("sum"))
    row = moved.agg(F.count("*").alias("keys"), F.sum("rows").alias("rows"), F.sum("sum").alias("sum")).collect()[0]
    answers.append([row["keys"], row["rows"], row["sum"]])
with open(result_file, "w") as file:
    json.dump(answers, file)
spark.stop()
