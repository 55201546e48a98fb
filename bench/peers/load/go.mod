module spark-lambda-relay/bench/load

go 1.24
