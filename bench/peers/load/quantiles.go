package main

import (
	"slices"
	"time"
)

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// addQuantiles adds p50, p99 and max, with the unit's name behind.
func addQuantiles(result numbers, took []time.Duration, suffix string, unit time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(unit)
	}
	result["p50"+suffix], result["p99"+suffix], result["max"+suffix] = at(0.5), at(0.99), at(1)
}
