"""Shuffles more bytes than an executor's disk may hold.

    spark-submit … fills_disk.py MEBIBYTES
"""

import os
import sys

from pyspark.sql import SparkSession

mebibytes = int(sys.argv[1])
sc = SparkSession.builder.appName("fills disk").getOrCreate().sparkContext
pieces = sc.parallelize(range(mebibytes), 4).map(lambda n: (n, os.urandom(1 << 20)))
print("counted", pieces.partitionBy(4).count(), flush=True)
sc.stop()
