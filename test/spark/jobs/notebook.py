"""A notebook: a Jupyter kernel that imports pyspark, restarted three times, the second time in the
middle of a cell. Knows nothing of functions; the environment is what `agent --print-env` printed.

    python notebook.py RESULT_FILE
"""

import json
import sys
import time

from jupyter_client.manager import KernelManager

CELL = """
from pyspark.sql import SparkSession, functions as F
spark = SparkSession.builder.getOrCreate()
rows = spark.range(0, 60000, 1, 4).groupBy((F.col("id") % 6).alias("k")).agg(F.sum("id").alias("s")).orderBy("k").collect()
pairs = sorted(spark.sparkContext.parallelize(range(100), 4).map(lambda n: (n % 4, n)).reduceByKey(lambda a, b: a + b).collect())
print("ANSWER", [r["s"] for r in rows], pairs, spark.sparkContext.applicationId, spark.sparkContext.master)
"""
LONG_CELL = """
import time
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("BEGUN", flush=True)
spark.sparkContext.parallelize(range(4), 4).map(lambda n: time.sleep(300)).collect()
"""


def run(client, code, until, seconds=240):
    """Executes a cell; answers the first line of its output that begins with `until`."""
    asked = client.execute(code)
    deadline = time.monotonic() + seconds
    output = ""
    while time.monotonic() < deadline:
        message = client.get_iopub_msg(timeout=deadline - time.monotonic())
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))
        # Spark's progress bar comes as stderr, without ends of lines.
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            output += message["content"]["text"]
            for line in output.split("\n")[:-1]:
                if line.startswith(until):
                    return line
    raise TimeoutError(output)


manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
answers = []
for restart in range(4):
    if restart == 2:
        run(client, LONG_CELL, "BEGUN")
        time.sleep(2)
    else:
        answers.append(run(client, CELL, "ANSWER"))
        print(answers[-1], flush=True)
    if restart < 3:
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=60)
with open(sys.argv[1], "w") as file:
    json.dump(answers, file)
client.stop_channels()
manager.shutdown_kernel(now=True)
