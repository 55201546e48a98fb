"""Runs one small job, then ends with the code it is told: an ordinary program that fails."""

import sys

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("fails").getOrCreate()
print("counted", spark.range(1000).repartition(4).count(), flush=True)
sys.exit(int(sys.argv[1]))
