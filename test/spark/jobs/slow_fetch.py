"""Reducers that fetch their 18 blocks one after another over some eight seconds, so that a peer
can go in the middle of it. Wants spark.reducer.maxSizeInFlight=1m.

    spark-submit … slow_fetch.py RESULT_FILE

Prints "fetching" when reducers run.
"""

import hashlib
import json
import random
import sys
import threading
import time

from pyspark.sql import SparkSession

MAPS, REDUCERS, PIECES, PIECE = 18, 3, 10, 200 * 1024
sc = SparkSession.builder.appName("slow fetch").getOrCreate().sparkContext


def make(index, _):
    for number in range(PIECES):
        yield index * PIECES + number, random.Random(index * PIECES + number).randbytes(PIECE)


def look(pieces):
    for key, piece in pieces:
        time.sleep(0.12)
        yield key, hashlib.sha256(piece).hexdigest()


def tell():
    tracker = sc.statusTracker()
    while True:
        for stage in tracker.getActiveStageIds():
            info = tracker.getStageInfo(stage)
            if info is not None and info.numTasks == REDUCERS and info.numActiveTasks > 0:
                print("fetching", flush=True)
                return
        time.sleep(0.1)


threading.Thread(target=tell, daemon=True).start()
pieces = sc.parallelize(range(MAPS), MAPS).mapPartitionsWithIndex(make)
began = time.monotonic()
seen = dict(pieces.partitionBy(REDUCERS).mapPartitions(look).collect())
right = {n: hashlib.sha256(random.Random(n).randbytes(PIECE)).hexdigest() for n in range(MAPS * PIECES)}
with open(sys.argv[1], "w") as file:
    json.dump({"right": seen == right, "pieces": len(seen), "seconds": time.monotonic() - began}, file)
sc.stop()
