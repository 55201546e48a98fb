module spark-lambda-relay/bench/yamux-tunnel

go 1.24

require github.com/hashicorp/yamux v0.1.2
