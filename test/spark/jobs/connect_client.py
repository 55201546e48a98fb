"""A Spark Connect client: no JVM of its own, only gRPC to the server.

    python connect_client.py sc://host:port RESULT_FILE
"""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

deadline = time.monotonic() + 120
while True:
    try:
        spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
        spark.range(1).collect()
        break
    except Exception:  # the server is not there yet
        if time.monotonic() > deadline:
            raise
        time.sleep(0.5)
rows = spark.range(0, 60000, 1, 4).groupBy((F.col("id") % 6).alias("k")).agg(F.sum("id").alias("s")).orderBy("k").collect()
square = F.udf(lambda n: n * n, LongType())
squares = spark.range(0, 1000, 1, 4).select(square("id").alias("n")).agg(F.sum("n").alias("s")).collect()[0]["s"]
with open(sys.argv[2], "w") as file:
    json.dump({"sums": [row["s"] for row in rows], "squares": squares}, file)
spark.stop()
