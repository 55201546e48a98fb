"""Runs one job on all executors, says so, and then keeps its session open, as a notebook does."""

import sys
import time

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("waits").getOrCreate()
print("counted", spark.range(100_000).repartition(8).count(), spark.sparkContext.uiWebUrl, flush=True)
time.sleep(float(sys.argv[1]))
spark.stop()
