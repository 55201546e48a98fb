"""A shuffle on executors that dynamic allocation brings, then an open session without work.

    spark-submit … scale.py RESULT_FILE FOLDER

Writes RESULT_FILE after the shuffle, waits until FOLDER/go-on exists, then counts once more.
"""

import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

result_file, folder = sys.argv[1], sys.argv[2]
spark = SparkSession.builder.appName("scale").getOrCreate()


def count():
    rows = spark.range(0, 100_000, 1, 6).groupBy((F.col("id") % 100).alias("key")).agg(F.sum("id").alias("sum"))
    return rows.agg(F.count("*"), F.sum("sum")).collect()[0]


def write(answers):
    with open(result_file + ".part", "w") as file:
        json.dump(answers, file)
    os.rename(result_file + ".part", result_file)


answers = [list(count())]
write(answers)
print("scale: waiting", flush=True)
deadline = time.monotonic() + 300
while not os.path.exists(os.path.join(folder, "go-on")) and time.monotonic() < deadline:
    time.sleep(0.1)
answers.append(list(count()))
write(answers)
spark.stop()
