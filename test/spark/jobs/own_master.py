"""Sets its own master, so that Spark never asks for an executor."""

import sys
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").getOrCreate()
print("counted", spark.range(1000).count(), flush=True)
time.sleep(float(sys.argv[1]))
spark.stop()
