package com.example;

import java.io.FileWriter;
import java.io.IOException;
import java.io.PrintWriter;
import org.apache.spark.SparkConf;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorMetricsUpdate;

/** Notes in the file spark.test.heartbeats when heartbeats arrive at the driver: a line each, whose and the ms since 1970. */
public final class HeartbeatTimes extends SparkListener {
  private final PrintWriter out;

  public HeartbeatTimes(SparkConf conf) throws IOException {
    out = new PrintWriter(new FileWriter(conf.get("spark.test.heartbeats")), true);
  }

  @Override
  public void onExecutorMetricsUpdate(SparkListenerExecutorMetricsUpdate update) {
    out.println(update.execId() + " " + System.currentTimeMillis());
  }
}
