"""
A Spark driver for real-driver.spark-full.test.ts. It reads its orders from a folder, since spark-submit
hands no stdin on to Python: a file `work` there starts a job that never ends, `cancel` cancels
it, and `stop` stops the context.
"""
import os
import sys
import threading
import time

from pyspark.sql import SparkSession


def told(order):
    return os.path.exists(os.path.join(sys.argv[1], order))


def work():
    try:
        spark.sparkContext.parallelize(range(6), 6).map(lambda _: time.sleep(3600)).count()
    except Exception as error:
        print("cancelled", type(error).__name__, flush=True)


spark = SparkSession.builder.getOrCreate()
print("ready", flush=True)
worker = None
while not told("stop"):
    if told("work") and worker is None:
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
    if told("cancel"):
        spark.sparkContext.cancelAllJobs()
    time.sleep(0.05)
spark.stop()
