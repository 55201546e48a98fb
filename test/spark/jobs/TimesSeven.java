package com.example;

import org.apache.spark.sql.api.java.UDF1;

/** Goes to executors with --jars. */
public final class TimesSeven implements UDF1<Long, Long> {
  @Override
  public Long call(Long value) {
    return 7 * value;
  }
}
